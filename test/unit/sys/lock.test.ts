import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {tryLock, waitForLock} from '../../../src/sys/lock.ts';

const lockModule = path.join(import.meta.dirname, '../../../src/sys/lock.ts');
let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-lock-'));
  file = path.join(directory, 'lock');
});
afterEach(() => rmSync(directory, {recursive: true, force: true}));

/** A process that holds the lock until it is killed. */
async function holder(): Promise<ChildProcess> {
  const code = `
    const {tryLock} = await import(${JSON.stringify(lockModule)});
    globalThis.lock = tryLock(${JSON.stringify(file)});
    console.log(lock ? 'held' : 'refused');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(child.stdout, 'data');
  expect(String(line).trim()).toBe('held');
  return child;
}

describe('tryLock', () => {
  test('creates the file for its owner only and keeps what is in it', () => {
    tryLock(file)?.release();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    writeFileSync(file, 'kept');
    tryLock(file)?.release();
    expect(readFileSync(file, 'utf8')).toBe('kept');
  });

  test('an exclusive lock refuses every other, shared locks refuse only exclusive ones', () => {
    const first = tryLock(file);
    expect(tryLock(file)).toBeUndefined();
    expect(tryLock(file, 'shared')).toBeUndefined();
    first?.release();
    using reader = tryLock(file, 'shared');
    using secondReader = tryLock(file, 'shared');
    expect([reader, secondReader]).not.toContain(undefined);
    expect(tryLock(file)).toBeUndefined();
  });

  test('locks a directory', () => {
    mkdirSync(file);
    using lock = tryLock(file);
    expect(lock).toBeDefined();
    expect(tryLock(file)).toBeUndefined();
  });

  test('a lock on a removed file holds back nobody who comes later', () => {
    using orphan = tryLock(file);
    expect(orphan).toBeDefined();
    unlinkSync(file);
    using lock = tryLock(file);
    expect(lock).toBeDefined();
  });

  test('release with remove deletes the file, but never a file that replaced it', () => {
    tryLock(file)?.release({remove: true});
    expect(existsSync(file)).toBe(false);
    const orphan = tryLock(file);
    unlinkSync(file);
    writeFileSync(file, 'somebody else');
    orphan?.release({remove: true});
    expect(existsSync(file)).toBe(true);
  });

  test('release with remove leaves a file that others share', () => {
    const reader = tryLock(file, 'shared');
    const other = tryLock(file, 'shared');
    reader?.release({remove: true});
    expect(tryLock(file)).toBeUndefined();
    other?.release({remove: true});
    expect(existsSync(file)).toBe(false);
  });

  test('fails by name when the directory is missing', () => {
    expect(() => tryLock(path.join(directory, 'missing', 'lock'))).toThrow(
      expect.objectContaining({code: 'ENOENT'}),
    );
  });
});

describe('waitForLock', () => {
  test('a lock ends with its process, however that dies', async () => {
    const child = await holder();
    expect(tryLock(file)).toBeUndefined();
    let waited = 0;
    const promise = waitForLock(file, {afterMs: 0, onWait: () => waited++});
    child.kill('SIGKILL');
    using lock = await promise;
    expect(lock.fd).toBeGreaterThan(2);
    expect(waited).toBe(1);
  });

  test('ends with Interrupted when aborted, before and while waiting', async () => {
    using _held = tryLock(file);
    await expect(waitForLock(file, {signal: AbortSignal.abort()})).rejects.toMatchObject({
      code: 'Interrupted',
    });
    const controller = new AbortController();
    const promise = waitForLock(file, {
      signal: controller.signal,
      afterMs: 0,
      onWait: () => controller.abort(),
    });
    await expect(promise).rejects.toMatchObject({code: 'Interrupted'});
  });

  test('many waiters that remove the file get the lock one at a time', async () => {
    let inside = 0;
    let worst = 0;
    const work = async () => {
      const lock = await waitForLock(file);
      worst = Math.max(worst, ++inside);
      await new Promise((resolve) => setTimeout(resolve, 2));
      inside--;
      lock.release({remove: true});
    };
    await Promise.all(Array.from({length: 12}, work));
    expect(worst).toBe(1);
  });
});
