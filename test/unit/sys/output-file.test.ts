import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {writeOutputFile} from '../../../src/sys/output-file.ts';

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-output-'));
  file = path.join(directory, 'out');
});
afterEach(() => rmSync(directory, {recursive: true}));

test('the file appears only when it is written, and gives what the writer gives', async () => {
  const result = await writeOutputFile(file, async (fd) => {
    writeSync(fd, 'new');
    expect(existsSync(file)).toBe(false);
    return 7;
  });
  expect(result).toBe(7);
  expect(readFileSync(file, 'utf8')).toBe('new');
  expect(statSync(file).mode & 0o777).toBe(0o666 & ~process.umask());
  expect(readdirSync(directory)).toEqual(['out']);
});

test('a failure leaves an older file as it was and nothing else', async () => {
  writeFileSync(file, 'old');
  const failing = writeOutputFile(file, async (fd) => {
    writeSync(fd, 'half');
    throw new Error('the disk is gone');
  });
  await expect(failing).rejects.toThrow('the disk is gone');
  expect(readFileSync(file, 'utf8')).toBe('old');
  expect(readdirSync(directory)).toEqual(['out']);
});

test('a failure of the system names the file', async () => {
  await expect(writeOutputFile(path.join(directory, 'absent/out'), async () => 1)).rejects.toMatchObject({
    code: 'FileSystem',
    message: expect.stringContaining(`cannot write "${directory}/absent/out": ENOENT`),
  });
  const full = writeOutputFile(file, async () => {
    throw Object.assign(new Error('EDQUOT: disk quota exceeded, write'), {
      code: 'EDQUOT',
      syscall: 'write',
    });
  });
  await expect(full).rejects.toMatchObject({code: 'NoSpace'});
});

test('what a killed process left is overwritten', async () => {
  writeFileSync(`${file}.part`, 'a longer text that was left behind');
  await writeOutputFile(file, async (fd) => writeSync(fd, 'new'));
  expect(readFileSync(file, 'utf8')).toBe('new');
  expect(readdirSync(directory)).toEqual(['out']);
});

test('two writers of one name do not mix', async () => {
  await writeOutputFile(file, async (fd) => {
    writeSync(fd, 'first');
    const second = writeOutputFile(file, async () => undefined);
    await expect(second).rejects.toMatchObject({
      code: 'FileSystem',
      message: expect.stringContaining('another process'),
    });
  });
  expect(readFileSync(file, 'utf8')).toBe('first');
});

test('a directory is not replaced, and a missing one is named', async () => {
  mkdirSync(file);
  await expect(writeOutputFile(file, async () => undefined)).rejects.toThrow('EISDIR');
  expect(readdirSync(directory)).toEqual(['out']);
  await expect(writeOutputFile(path.join(directory, 'no/out'), async () => undefined)).rejects.toThrow(
    'no/out.part',
  );
});
