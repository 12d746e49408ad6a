/**
 * Where the root file system lies in a disk, read from its partition table here because not every kernel reads them
 * (spec/mdata.md §6.4). The table is foreign: nothing of it is believed beyond the size of the disk.
 */
import {readSync} from 'node:fs';
import {ImgctlError} from '../../errors.ts';

export interface DiskPart {
  offset: number;
  sizeBytes: number;
}

const sector = 512;
const maxEntries = 1024;
/** Discoverable Partitions Specification: roots by architecture, and data of Linux. */
const rootTypes: Partial<Record<string, string>> = {
  x64: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
  arm64: 'b921b045-1df0-41c3-af44-4c6f280d3fae',
  arm: '69dad710-2ce4-4e3c-b16c-21a1d49abed3',
  riscv64: '72ec70a6-cf74-40e6-bd49-4bda08e8f224',
  ppc64: 'c31c45e6-3f39-412e-80fb-4809c4980599',
  s390x: '5eead9a9-fe09-4a1e-a1d7-520d00531306',
};
const linuxData = '0fc63daf-8483-4772-8e79-3d69d8477de4';
const mbrLinux = 0x83;

interface Partition extends DiskPart {
  type: string;
}

/** A disk without a table is one file system. `NotSupported` when the root cannot be told from others. */
export function findRootPartition(fd: number, sizeBytes: number): DiskPart {
  const table = readGpt(fd) ?? readMbr(fd);
  if (!table) return {offset: 0, sizeBytes};
  const inside = table.filter(
    ({offset, sizeBytes: length}) => offset > 0 && length > 0 && offset + length <= sizeBytes,
  );
  const roots = inside.filter(({type}) => type === rootTypes[process.arch]);
  const [root, second] = roots.length > 0 ? roots : inside.filter(({type}) => type === linuxData);
  if (root && (!second || roots.length > 0)) return {offset: root.offset, sizeBytes: root.sizeBytes};
  throw new ImgctlError(
    'NotSupported',
    root ? 'the disk has several partitions that may be its root' : 'the disk has no root partition',
    {hint: `give its root the partition type ${rootTypes[process.arch] ?? linuxData}`},
  );
}

function readGpt(fd: number): Partition[] | undefined {
  const header = readAt(fd, sector, sector);
  if (header.toString('latin1', 0, 8) !== 'EFI PART') return undefined;
  const start = Number(header.readBigUInt64LE(72)) * sector;
  const entryBytes = header.readUInt32LE(84);
  const count = Math.min(header.readUInt32LE(80), maxEntries);
  if (entryBytes < 128 || entryBytes > 4096) return [];
  const entries = readAt(fd, start, count * entryBytes);
  return Array.from({length: count}, (_, index) => {
    const entry = entries.subarray(index * entryBytes, (index + 1) * entryBytes);
    const first = Number(entry.readBigUInt64LE(32));
    const last = Number(entry.readBigUInt64LE(40));
    return {type: guidOf(entry), offset: first * sector, sizeBytes: (last + 1 - first) * sector};
  });
}

function readMbr(fd: number): Partition[] | undefined {
  const record = readAt(fd, 0, sector);
  if (record.readUInt16LE(510) !== 0xaa55) return undefined;
  const partitions = [446, 462, 478, 494].map((place) => ({
    type: record[place + 4] === mbrLinux ? linuxData : '',
    offset: record.readUInt32LE(place + 8) * sector,
    sizeBytes: record.readUInt32LE(place + 12) * sector,
  }));
  // A boot sector without a table is that of a file system.
  return partitions.some(({sizeBytes}) => sizeBytes > 0) ? partitions : undefined;
}

/** The first three fields are little-endian. */
function guidOf(entry: Buffer): string {
  const part = (start: number, end: number, reversed: boolean) => {
    const bytes = Buffer.from(entry.subarray(start, end));
    return (reversed ? bytes.reverse() : bytes).toString('hex');
  };
  return [part(0, 4, true), part(4, 6, true), part(6, 8, true), part(8, 10, false), part(10, 16, false)].join(
    '-',
  );
}

function readAt(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  readSync(fd, bytes, 0, length, position);
  return bytes;
}
