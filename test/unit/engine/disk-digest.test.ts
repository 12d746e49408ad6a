import {createHash} from 'node:crypto';
import {closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {DiskDigest, digestDisk} from '../../../src/engine/embedded/delta/content-digest.ts';
import {hashContents} from '../../../src/engine/embedded/delta/contents.ts';

const mebibyte = 1024 * 1024;
let directory: string;
let disk: number;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-disk-digest-'));
  disk = openSync(path.join(directory, 'disk'), 'wx+');
});
afterEach(() => {
  closeSync(disk);
  rmSync(directory, {recursive: true});
});

/** As the definition says, block by block in this language. */
function reference(size: number): string {
  const hash = createHash('sha256');
  hashContents(hash, disk, size);
  return `sha256:${hash.update(`disk ${size}\n`).digest('hex')}`;
}

function write(start: number, length: number, value: number): void {
  writeSync(disk, Buffer.alloc(length, value), 0, length, start);
}

test.each<[what: string, size: number, data: [start: number, length: number, value: number][]]>([
  ['nothing', 0, []],
  ['a hole', 5 * mebibyte, []],
  ['a byte', 1, [[0, 1, 7]]],
  ['written zeros', 3 * mebibyte, [[mebibyte, mebibyte, 0]]],
  ['data up to an odd end', 2 * mebibyte + 77, [[mebibyte + 3, mebibyte + 74, 9]]],
  ['a hole up to an odd end', 2 * mebibyte + 77, [[70_000, 5, 1]]],
  ['data between blocks', 300_000, [[65_530, 10, 3]]],
  [
    'data here and there',
    40 * mebibyte,
    [
      [0, 4096, 1],
      [9 * mebibyte - 1, 2, 2],
      [20 * mebibyte, 300_000, 3],
      [40 * mebibyte - 1, 1, 4],
    ],
  ],
])('a disk of %s has the digest of its definition', async (_what, size, data) => {
  ftruncateSync(disk, size);
  for (const [start, length, value] of data) write(start, length, value);
  expect(await digestDisk(disk)).toBe(reference(size));
});

test('one that is still written has the same', async () => {
  const digest = new DiskDigest(disk);
  let position = 0;
  for (let step = 0; step < 40; step += 1) {
    const length = 2 * mebibyte + step * 1000 + 1;
    if (step % 4 > 0) write(position, length, step % 5);
    position += length;
    digest.reached(position);
    if (step % 10 === 9) await digest.settle();
  }
  const size = position + 3 * mebibyte;
  ftruncateSync(disk, size);
  expect(await digest.finish(size)).toBe(reference(size));
});

test('disks of holes and disks of written zeros are one, disks of other sizes are not', async () => {
  ftruncateSync(disk, 4 * mebibyte);
  const ofHole = await digestDisk(disk);
  write(0, 4 * mebibyte, 0);
  expect(await digestDisk(disk)).toBe(ofHole);
  ftruncateSync(disk, 4 * mebibyte + 1);
  expect(await digestDisk(disk)).not.toBe(ofHole);
});

test('what the kernel refuses is thrown', async () => {
  await expect(new DiskDigest(99_999).finish(mebibyte)).rejects.toMatchObject({code: 'EBADF'});
});
