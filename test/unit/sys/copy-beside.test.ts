import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {CopyBeside} from '../../../src/sys/copy-beside.ts';

let directory: string;
let source: number;
let target: number;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-copy-beside-'));
  source = openSync(path.join(directory, 'source'), 'wx+');
  target = openSync(path.join(directory, 'target'), 'wx');
});
afterEach(() => {
  closeSync(source);
  closeSync(target);
  rmSync(directory, {recursive: true});
});

const mebibyte = 1024 * 1024;

test('a file that grows is copied while it does, with its holes', async () => {
  const copy = new CopyBeside(source, target);
  const data = Buffer.alloc(mebibyte);
  for (let step = 0; step < 80; step += 1) {
    // Every third mebibyte stays a hole.
    if (step % 3 > 0) writeSync(source, data.fill(step), 0, mebibyte, step * mebibyte);
    copy.reached((step + 1) * mebibyte);
    if (step % 10 === 0) await copy.settle();
  }
  const size = 81 * mebibyte + 5;
  ftruncateSync(source, size);
  await copy.finish(size);
  const [first, second] = ['source', 'target'].map((name) => path.join(directory, name));
  expect(statSync(second!).size).toBe(size);
  expect(readFileSync(first!).equals(readFileSync(second!))).toBe(true);
  expect(statSync(second!).blocks).toBeLessThan(60 * 2048);
});

test('an empty file and one that is smaller than a step are copied at the end', async () => {
  await new CopyBeside(source, target).finish(0);
  expect(readFileSync(path.join(directory, 'target'))).toHaveLength(0);
  writeSync(source, 'few bytes');
  const copy = new CopyBeside(source, target);
  copy.reached(9);
  await copy.finish(9);
  expect(readFileSync(path.join(directory, 'target'), 'utf8')).toBe('few bytes');
});

test('what the kernel refuses is thrown at the end, and nothing before', async () => {
  const neverOpened = 99_999;
  writeSync(source, Buffer.alloc(20 * mebibyte, 1));
  const copy = new CopyBeside(source, neverOpened);
  copy.reached(17 * mebibyte);
  copy.reached(18 * mebibyte);
  await copy.settle();
  await expect(copy.finish(20 * mebibyte)).rejects.toMatchObject({code: 'EBADF'});
});
