/** What files hold, whatever their holes are: compared, and as input of a digest. */
import {readSync} from 'node:fs';
import {findData} from '../../../sys/contents.ts';

/** The unit in which digests see files, and the cluster of the qcow2 images made here. */
export const blockBytes = 64 * 1024;
const compareBytes = 1024 * 1024;
const zeros = Buffer.alloc(blockBytes);

export function isZero(bytes: Buffer): boolean {
  return zeros.compare(bytes, 0, bytes.length, 0, bytes.length) === 0;
}

/** Bytes from `position`, zeros where the file has ended. */
export function readFilled(fd: number, buffer: Buffer, position: number): Buffer {
  let filled = 0;
  while (filled < buffer.length) {
    const count = readSync(fd, buffer, filled, buffer.length - filled, position + filled);
    if (count === 0) break;
    filled += count;
  }
  return buffer.fill(0, filled);
}

/** Positions of the blocks of `blockSize` bytes in which a file of either descriptor has data, in order. */
export function* blocksWithData(
  files: readonly {fd: number; size: number}[],
  blockSize: number,
): Generator<number> {
  for (let position = 0; ; ) {
    const starts = files
      .map(({fd, size}) => findData(fd, position, size)?.start)
      .filter((start) => start !== undefined);
    if (starts.length === 0) return;
    const block = Math.floor(Math.min(...starts) / blockSize) * blockSize;
    yield block;
    position = block + blockSize;
  }
}

/** Two files of one size. */
export function haveSameContents(one: number, other: number, size: number): boolean {
  const files = [one, other].map((fd) => ({fd, size}));
  const [first, second] = [Buffer.allocUnsafe(compareBytes), Buffer.allocUnsafe(compareBytes)];
  for (const position of blocksWithData(files, compareBytes)) {
    if (!readFilled(one, first, position).equals(readFilled(other, second, position))) return false;
  }
  return true;
}

/** Feeds the blocks that are not all zeros with their positions: the same on every file system. */
export function hashContents(hash: {update(bytes: Buffer): unknown}, fd: number, size: number): void {
  const buffer = Buffer.allocUnsafe(blockBytes);
  const place = Buffer.alloc(8);
  for (const position of blocksWithData([{fd, size}], blockBytes)) {
    const bytes = readFilled(fd, buffer, position).subarray(0, Math.min(blockBytes, size - position));
    if (isZero(bytes)) continue;
    place.writeBigUInt64BE(BigInt(position));
    hash.update(place);
    hash.update(bytes);
  }
}
