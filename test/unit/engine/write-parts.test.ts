/** Clusters taken out by several threads give the disk that qemu-img packed; what is wrong with one is named with its place. */
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, expect, test} from 'vitest';
import {randomAccess} from '../../../src/engine/embedded/file-source.ts';
import {convertQcow2} from '../../../src/engine/embedded/raw-writer.ts';
import {writeParts} from '../../../src/engine/embedded/write-parts.ts';
import {Qcow2Image} from '../../../src/formats/qcow2/qcow2-image.ts';
import {makeDisk, makeQcow2} from '../../support/qcow2.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-write-parts-'));
afterAll(() => rmSync(directory, {recursive: true}));
const limits = {maxVirtualBytes: 1 << 30};
/** Many batches, and a last cluster that is cut. */
const disk = makeDisk(path.join(directory, 'disk.raw'), 12_000_768);
const contents = readFileSync(disk);

async function withFiles<Result>(
  file: string,
  use: (source: number, target: number, targetPath: string) => Promise<Result>,
): Promise<Result> {
  const targetPath = path.join(directory, 'target.raw');
  const source = openSync(file, 'r+');
  const target = openSync(targetPath, 'w+');
  try {
    return await use(source, target, targetPath);
  } finally {
    closeSync(source);
    closeSync(target);
  }
}

function copyOf(file: string): string {
  const copy = path.join(directory, 'copy.qcow2');
  copyFileSync(file, copy);
  return copy;
}

/** Opens an image, does something to its file, and writes its disk. */
async function convertDamaged(
  file: string,
  damage: (image: Qcow2Image, source: number, path: string) => void,
): Promise<unknown> {
  const copy = copyOf(file);
  return await withFiles(copy, async (source, target) => {
    const image = new Qcow2Image(randomAccess(source), limits);
    damage(image, source, copy);
    return await writeParts(image, source, target, () => undefined);
  });
}

const forms = ['zlib', 'zstd'].flatMap((type) =>
  ['512', '64k', '2M'].map((size) => `compression_type=${type},cluster_size=${size}`),
);

test.each([
  ...forms.map((options) => [options, true] as const),
  ['extended_l2=on,cluster_size=64k', true] as const,
  ['cluster_size=64k', false] as const,
])('the disk is the same with %s (compressed: %s)', async (options, isCompressed) => {
  const positions: number[] = [];
  await withFiles(makeQcow2(disk, options, isCompressed), async (source, target, targetPath) => {
    const onPosition = (position: number) => positions.push(position);
    expect(await convertQcow2(randomAccess(source), target, {maxBytes: 1 << 30, onPosition})).toBe(
      contents.length,
    );
    expect(readFileSync(targetPath).equals(contents)).toBe(true);
  });
  expect(positions).toEqual([...positions].sort((a, b) => a - b));
});

test.each(['zlib', 'zstd'])('a damaged cluster of %s is named', async (type) => {
  let offset = -1;
  const failed = convertDamaged(makeQcow2(disk, `compression_type=${type}`, true), (image, source) => {
    const part = [...image.parts()].filter(({packed}) => packed > 0).at(-1);
    offset = part?.offset ?? -1;
    writeSync(source, Buffer.alloc(100, 0xff), 0, 100, part?.host);
  });
  await expect(failed).rejects.toMatchObject({code: 'InvalidArchive'});
  await expect(failed).rejects.toThrow(`the cluster at ${offset} cannot be decompressed`);
});

test('a cluster that makes fewer or more bytes than a cluster has is damaged', async () => {
  for (const compression of ['zlib', 'zstd']) {
    const [small, large] = ['4k', '64k'].map((size) =>
      makeQcow2(disk, `compression_type=${compression},cluster_size=${size}`, true),
    ) as [string, string];
    for (const [file, other] of [
      [small, large],
      [large, small],
    ] as const) {
      const failed = convertDamaged(file, (image, source) => {
        const [stored] = withImage(other, (donor, fd) => {
          const part = [...donor.parts()].find(({packed}) => packed > 0);
          return [randomAccess(fd).read(part?.host ?? 0, 512)];
        });
        const part = [...image.parts()].find(({packed}) => packed > 0);
        writeSync(source, stored ?? Buffer.alloc(0), 0, 512, part?.host);
      });
      await expect(failed).rejects.toThrow('cannot be decompressed');
    }
  }
});

function withImage<Result>(file: string, use: (image: Qcow2Image, fd: number) => Result): Result {
  const fd = openSync(file, 'r');
  try {
    return use(new Qcow2Image(randomAccess(fd), limits), fd);
  } finally {
    closeSync(fd);
  }
}

test('a file that becomes shorter and a disk without room are told apart', async () => {
  const file = makeQcow2(disk, 'cluster_size=64k', true);
  const cut = convertDamaged(file, (_image, _source, copy) => truncateSync(copy, 200_000));
  await expect(cut).rejects.toMatchObject({code: 'InvalidArchive', details: {errno: 'EIO'}});
  await withFiles(file, async (source) => {
    const full = openSync('/dev/full', 'r+');
    const image = new Qcow2Image(randomAccess(source), limits);
    await expect(writeParts(image, source, full, () => undefined)).rejects.toMatchObject({code: 'ENOSPC'});
    closeSync(full);
  });
});
