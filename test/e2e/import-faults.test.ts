/** Import under faults: whatever ends it, nothing is half visible and the next run ends well (design.md §6). */

import {spawnSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {mkdirSync, readdirSync, rmSync} from 'node:fs';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {formatSize} from '../../src/manifest/size-text.ts';
import {slowServer} from '../support/slow-server.ts';
import {World} from '../support/world.ts';

const imageBytes = 24 * 1024 * 1024;

let world: World;
beforeEach(async () => {
  world = await new World().start();
});
afterEach(() => world.end());

function bigImage(): Buffer {
  const bytes = randomBytes(imageBytes);
  bytes.fill(0, 4 * 1024 * 1024, 12 * 1024 * 1024);
  return bytes;
}

/** No staging directory, no record without data, and what is visible is what `list` says. */
function expectClean(expected: readonly string[]): void {
  expect(world.installed()).toEqual([...expected].sort());
  expect(world.machines()).toEqual(expected.map((uuid) => `${uuid}.raw`).sort());
}

describe('an import that is killed', () => {
  test('leaves nothing visible at any instant, and the next run ends well', {timeout: 240_000}, async () => {
    const bytes = bigImage();
    let interruptedRuns = 0;
    for (let delayMs = 100; delayMs <= 1000; delayMs += 75) {
      const {uuid} = world.publish(bytes);
      const outcome = await world.runWhile(['import', '-q', uuid], async (child) => {
        await sleep(delayMs);
        child.kill('SIGKILL');
      });
      const isThere = world.installed().includes(uuid);
      if (outcome.signal === 'SIGKILL' && !isThere) interruptedRuns += 1;
      const visible = world.machines().filter((name) => !name.startsWith('.#'));
      expect(visible).toEqual(isThere ? [`${uuid}.raw`] : []);
      const again = world.run(['import', '-q', uuid]);
      expect(again.stderr).toBe('');
      expect(again.status).toBe(0);
      expect(world.image(uuid).equals(bytes)).toBe(true);
      expectClean([uuid]);
      expect(world.run(['delete', uuid]).status).toBe(0);
      expectClean([]);
      expect(world.records()).toEqual([]);
    }
    expect(interruptedRuns).toBeGreaterThan(2);
  });

  test('by Ctrl-C says so, exits 130, keeps what it has and goes on from there', async () => {
    const bytes = bigImage();
    const {uuid} = world.publish(bytes);
    const slow = await slowServer(world.url, {bytesPerSecond: 12 * 1024 * 1024});
    try {
      world.useSources([slow.url]);
      const outcome = await world.runWhile(['import', uuid], async (child) => {
        while (world.partialBytes() < 1024 * 1024) await sleep(10);
        child.kill('SIGINT');
      });
      expect(outcome.status).toBe(130);
      expectClean([]);
      const kept = world.partialBytes();
      expect(outcome.stderr.split('\n').slice(-3)).toEqual([
        `Stopped. Nothing was installed; ${formatSize(kept)} of ${formatSize(bytes.length)} kept.`,
        `  continue with: imgctl import ${uuid}`,
        '',
      ]);
      expect(kept).toBeGreaterThan(0);
      slow.setSpeed(Number.POSITIVE_INFINITY);
      const again = await world.runWhile(['import', uuid], async () => undefined);
      expect(again.status).toBe(0);
      expect(slow.ranges.at(-1)).toBe(`bytes=${kept}-`);
      expect(world.image(uuid).equals(bytes)).toBe(true);
    } finally {
      await slow.close();
    }
  });
});

test('a line that is cut again and again costs nothing: the import goes on by itself', async () => {
  const bytes = bigImage();
  const {uuid} = world.publish(bytes);
  const slow = await slowServer(world.url, {cutAfterBytes: 7 * 1024 * 1024});
  try {
    world.useSources([slow.url]);
    const outcome = await world.runWhile(['import', uuid], async () => undefined);
    expect(outcome.status).toBe(0);
    expect(outcome.stderr).toContain('retry 1 of 4');
    // A reset drops what was under way, so there may be more than the four requests that 24 MiB need.
    expect(slow.fileRequests).toBeGreaterThanOrEqual(4);
    const starts = slow.ranges.map((range) => Number(/bytes=(\d+)-/.exec(range ?? 'bytes=0-')?.[1]));
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
    expect(world.image(uuid).equals(bytes)).toBe(true);
  } finally {
    await slow.close();
  }
});

test('two imports of one image at once share one download and both succeed', async () => {
  const bytes = bigImage();
  const {uuid} = world.publish(bytes);
  const slow = await slowServer(world.url, {bytesPerSecond: 16 * 1024 * 1024});
  try {
    world.useSources([slow.url]);
    const [one, two] = await Promise.all([
      world.runWhile(['import', uuid], async () => undefined),
      world.runWhile(['import', uuid], async () => undefined),
    ]);
    expect([one.status, two.status]).toEqual([0, 0]);
    expect(slow.fileRequests).toBe(1);
    expect(one.stdout + two.stdout).toMatch(/was imported while waiting on lock|is already installed/);
    expectClean([uuid]);
  } finally {
    await slow.close();
  }
});

test.each(['stdout', 'stderr'] as const)(
  'an import whose %s nobody reads goes on to its end',
  async (stream) => {
    const {uuid} = world.publish(bigImage());
    const outcome = await world.runWhile(['import', uuid], async (child) => {
      child[stream]?.destroy();
    });
    expect(outcome.status).toBe(0);
    expectClean([uuid]);
  },
);

test('output that cannot be stored is an error, told in a line', () => {
  const {status, stderr} = spawnSync('sh', ['-c', 'imgctl sources -v >/dev/full'], {
    env: world.env,
    encoding: 'utf8',
  });
  expect([status, stderr]).toEqual([
    1,
    'imgctl: error (FileSystem): cannot write to stdout: ENOSPC: no space left on device, write\n',
  ]);
});

test('a current directory that is gone hinders nothing that does not need it', () => {
  const script = `mkdir gone && cd gone && rmdir ../gone && imgctl list -j 2>&1`;
  const {status, stdout} = spawnSync('sh', ['-c', script], {
    cwd: world.directory,
    env: world.env,
    encoding: 'utf8',
  });
  expect([status, stdout.split('\n').at(-2)]).toEqual([0, '[]']);
});

describe('a disk that is full', () => {
  /** Everything of the root on one small file system. */
  function mountSmall(sizeMiB: number): void {
    mkdirSync(path.join(world.root, 'var'), {recursive: true});
    const mounted = spawnSync('mount', [
      '-t',
      'tmpfs',
      '-o',
      `size=${sizeMiB}M`,
      'tmpfs',
      path.join(world.root, 'var'),
    ]);
    expect(mounted.status).toBe(0);
  }
  afterEach(() => {
    spawnSync('umount', ['-l', path.join(world.root, 'var')]);
  });

  test('is found before the first byte', () => {
    const {uuid} = world.publish(bigImage());
    mountSmall(16);
    const outcome = world.run(['import', uuid]);
    expect(outcome.stderr).toMatch(/error \(NoSpace\): not enough space in ".*": need \d+ bytes, have \d+/);
    expect(outcome.status).toBe(1);
    expectClean([]);
    expect(world.partialBytes()).toBe(0);
  });

  test('in the middle of unpacking is one error, and the download is kept', () => {
    const {uuid} = world.publish(bigImage());
    mountSmall(28);
    const outcome = world.run(['import', uuid]);
    expect(outcome.stderr).toContain('error (NoSpace)');
    expect(outcome.status).toBe(1);
    expectClean([]);
    expect(readdirSync(path.join(world.root, 'var/cache/imgctl/downloads')).length).toBeGreaterThan(0);
    spawnSync('mount', ['-o', 'remount,size=200M', path.join(world.root, 'var')]);
    expect(world.run(['import', uuid]).status).toBe(0);
    expectClean([uuid]);
  });

  test('still lists, tells and deletes images, and says what it cannot do', () => {
    const [one, two] = [world.publish(Buffer.from('one')), world.publish(Buffer.from('two'))];
    mountSmall(4);
    for (const {uuid} of [one, two]) expect(world.run(['import', '-q', uuid]).status).toBe(0);
    const fill = path.join(world.root, 'var/fill');
    spawnSync('dd', ['if=/dev/zero', `of=${fill}`, 'bs=1k']);
    const withoutCatalog = (command: string) =>
      `imgctl ${command}: warning: going on without catalog "${world.root}/var/lib/imgctl/catalog.db": the disk is full\n`;
    const listed = world.run(['list', '-H', '-o', 'uuid']);
    expect([listed.status, listed.stdout.trim().split('\n').sort(), listed.stderr]).toEqual([
      0,
      [one.uuid, two.uuid].sort(),
      withoutCatalog('list'),
    ]);
    expect(world.run(['avail', '-H', '-o', 'uuid']).stdout.trim().split('\n').sort()).toEqual(
      [one.uuid, two.uuid].sort(),
    );
    const doctor = world.run(['doctor']);
    expect([doctor.status, doctor.stdout]).toEqual([6, expect.stringMatching(/^problem +catalog /m)]);
    const cloned = world.run(['clone', one.uuid, 'web1']);
    expect([cloned.status, cloned.stderr]).toEqual([1, expect.stringContaining('error (NoSpace): ')]);
    const deleted = world.run(['delete', one.uuid]);
    expect([deleted.status, deleted.stdout, deleted.stderr]).toEqual([
      0,
      `Deleted image ${one.uuid}\n`,
      withoutCatalog('delete'),
    ]);
    rmSync(fill);
    expectClean([two.uuid]);
    expect(world.run(['list', '-H', '-o', 'uuid']).stderr).toBe('');
  });

  test('that is read-only lists and tells, and refuses changes by name', () => {
    const {uuid} = world.publish(Buffer.from('one'));
    mountSmall(4);
    expect(world.run(['import', '-q', uuid]).status).toBe(0);
    spawnSync('mount', ['-o', 'remount,ro', path.join(world.root, 'var')]);
    expect(world.run(['list', '-H', '-o', 'uuid'])).toMatchObject({status: 0, stdout: `${uuid}\n`});
    expect(world.run(['show', uuid]).status).toBe(0);
    const {status, stderr} = world.run(['delete', uuid]);
    expect([status, stderr]).toEqual([1, expect.stringContaining('error (FileSystem): ')]);
    expect(stderr).toContain('read-only file system');
  });
});
