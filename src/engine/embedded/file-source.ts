import {closeSync, constants, fstatSync, openSync, readSync} from 'node:fs';
import {ImgctlError} from '../../errors.ts';
import type {RandomAccess} from '../../formats/qcow2/random-access.ts';
import {sniffBytes, sniffCompression} from '../../formats/sniff.ts';
import type {Arrival} from './arrival.ts';

/** Opens a regular file, and nothing else, for reading; the caller closes it. */
export function openSourceFile(sourcePath: string): number {
  const fd = openSync(sourcePath, constants.O_RDONLY | constants.O_NONBLOCK);
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new ImgctlError('InvalidArgument', `"${sourcePath}" is not a regular file`);
}

const chunkBytes = 1024 * 1024;

/** Who reads tar looks back at most a mebibyte (its largest header), which lies in two chunks. */
const reusedChunks = 4;

/**
 * The bytes of an open regular file from its start. Every chunk is a buffer of its own, because decoders keep parts of
 * them; with `reuse` there are few, and each is good for three more chunks: new memory costs as much as the reading.
 * What is still to arrive is waited for, a chunk at a time.
 */
export async function* readFileFrom(
  fd: number,
  onPosition: (position: number) => void,
  {reuse = false, arrival}: {reuse?: boolean; arrival?: Arrival | undefined} = {},
): AsyncGenerator<Buffer> {
  const buffers: Buffer[] = [];
  for (let position = 0; ; ) {
    const isKept = reuse && buffers.length === reusedChunks;
    const buffer = (isKept && buffers.shift()) || Buffer.allocUnsafeSlow(chunkBytes);
    if (reuse) buffers.push(buffer);
    const end = (await arrival?.reaches(position + chunkBytes)) ?? Number.POSITIVE_INFINITY;
    if (position === end) return;
    const length = readSync(fd, buffer, 0, Math.min(chunkBytes, end - position), position);
    if (length === 0 && arrival) throw new Error('The file became shorter while it arrived');
    if (length === 0) return;
    position += length;
    yield buffer.subarray(0, length);
    onPosition(position);
  }
}

/** The first bytes of an open file, without moving in it. */
export function readHead(fd: number, length: number): Buffer {
  return readAt(fd, 0, length);
}

export interface FileAccess extends RandomAccess {
  readonly fd: number;
}

/** An open file whose size stays as it is. */
export function randomAccess(fd: number): FileAccess {
  const {size} = fstatSync(fd);
  return {fd, size, read: (position, length) => readAt(fd, position, Math.min(length, size - position))};
}

function readAt(fd: number, position: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafe(Math.max(length, 0));
  let filled = 0;
  while (filled < length) {
    const count = readSync(fd, buffer, filled, length - filled, position + filled);
    if (count === 0) break;
    filled += count;
  }
  return buffer.subarray(0, filled);
}

/** Whether its bytes are those of no compression. */
export function isPlainFile(fd: number): boolean {
  return sniffCompression(readHead(fd, sniffBytes)) === 'none';
}
