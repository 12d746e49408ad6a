/** Disk images in qcow2 as QEMU makes them, for tests. */
import {execFileSync} from 'node:child_process';
import {closeSync, ftruncateSync, openSync, readFileSync, writeSync} from 'node:fs';
import path from 'node:path';
import {Qcow2Image} from '../../src/formats/qcow2/qcow2-image.ts';
import type {RandomAccess} from '../../src/formats/qcow2/random-access.ts';

/** A raw disk with data, text that compresses and holes; the same every time. */
export function makeDisk(file: string, sizeBytes: number): string {
  const fd = openSync(file, 'w');
  ftruncateSync(fd, sizeBytes);
  let seed = 1;
  for (let offset = 0; offset < sizeBytes; offset += 150_000) {
    const bytes = Buffer.alloc(Math.min(20_000, sizeBytes - offset), `line ${offset} of the disk\n`);
    for (let index = 0; index < bytes.length / 2; index++) {
      seed = (seed * 1_103_515_245 + 12_345) % 0x80000000;
      bytes[index] = seed >>> 16;
    }
    writeSync(fd, bytes, 0, bytes.length, offset);
  }
  closeSync(fd);
  return file;
}

/** Converts a raw disk; returns the new file. */
export function makeQcow2(disk: string, options: string, isCompressed = false): string {
  const file = path.join(path.dirname(disk), `${options}${isCompressed ? '-c' : ''}.qcow2`);
  const flags = isCompressed ? ['-c'] : [];
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', ...flags, '-o', options, disk, file]);
  return file;
}

export function bytesSource(bytes: Buffer): RandomAccess {
  return {size: bytes.length, read: (position, length) => bytes.subarray(position, position + length)};
}

/** The disk inside. */
export function decodeQcow2(image: Buffer | string, maxVirtualBytes = 1 << 30): Buffer {
  const bytes = typeof image === 'string' ? readFileSync(image) : image;
  const reader = new Qcow2Image(bytesSource(bytes), {maxVirtualBytes});
  const disk = Buffer.alloc(reader.virtualSize);
  for (const run of reader.runs()) run.bytes.copy(disk, run.offset);
  return disk;
}
