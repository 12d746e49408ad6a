import {closeSync, mkdtempSync, openSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {expect, test} from 'vitest';
import {findRootPartition} from '../../../src/instances/prepare/root-partition.ts';
import {removeTree} from '../../../src/sys/remove-tree.ts';

const size = 1 << 20;
const root = 'e3bc684fcde8b14d96e7fbcaf984b709';
const linux = 'af3dc60f838472478e793d69d8477de4';
const esp = '28732ac11ff8d211ba4b00a0c93ec93b';

function gpt(...partitions: [type: string, first: number, last: number][]): Buffer {
  const disk = Buffer.alloc(size);
  disk.write('EFI PART', 512, 'latin1');
  disk.writeBigUInt64LE(2n, 512 + 72);
  disk.writeUInt32LE(partitions.length, 512 + 80);
  disk.writeUInt32LE(128, 512 + 84);
  for (const [index, [type, first, last]] of partitions.entries()) {
    const place = 1024 + index * 128;
    disk.write(type, place, 'hex');
    disk.writeBigUInt64LE(BigInt(first), place + 32);
    disk.writeBigUInt64LE(BigInt(last), place + 40);
  }
  return disk;
}

function mbr(type: number, first: number, count: number): Buffer {
  const disk = Buffer.alloc(size);
  disk[446 + 4] = type;
  disk.writeUInt32LE(first, 446 + 8);
  disk.writeUInt32LE(count, 446 + 12);
  disk.writeUInt16LE(0xaa55, 510);
  return disk;
}

async function find(disk: Buffer): Promise<{offset: number; sizeBytes: number}> {
  const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-partition-'));
  try {
    writeFileSync(path.join(directory, 'disk'), disk);
    const fd = openSync(path.join(directory, 'disk'), 'r');
    try {
      return findRootPartition(fd, disk.length);
    } finally {
      closeSync(fd);
    }
  } finally {
    await removeTree(directory);
  }
}

test.runIf(process.arch === 'x64')(
  'the partition marked as root is taken, whatever else is there',
  async () => {
    expect(await find(gpt([esp, 40, 49], [linux, 50, 99], [root, 100, 199]))).toEqual({
      offset: 100 * 512,
      sizeBytes: 100 * 512,
    });
  },
);

test('the only Linux partition is taken, and of two none', async () => {
  expect(await find(gpt([esp, 40, 49], [linux, 50, 99]))).toEqual({offset: 50 * 512, sizeBytes: 50 * 512});
  await expect(find(gpt([linux, 40, 49], [linux, 50, 99]))).rejects.toMatchObject({code: 'NotSupported'});
  await expect(find(gpt([esp, 40, 49]))).rejects.toMatchObject({code: 'NotSupported'});
});

test('a partition that leaves the disk is none', async () => {
  await expect(find(gpt([linux, 50, 1 << 20]))).rejects.toMatchObject({code: 'NotSupported'});
  await expect(find(gpt([linux, 50, 49]))).rejects.toMatchObject({code: 'NotSupported'});
});

test('an old table is read, and a disk without one is one file system', async () => {
  expect(await find(mbr(0x83, 63, 100))).toEqual({offset: 63 * 512, sizeBytes: 100 * 512});
  expect(await find(mbr(0, 0, 0))).toEqual({offset: 0, sizeBytes: size});
  expect(await find(Buffer.alloc(size))).toEqual({offset: 0, sizeBytes: size});
});
