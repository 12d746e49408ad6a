/** The two oldest compressions of ZFS; both stop at the size of the block and leave the padding. */
import {byteAt, copyMatch} from './lz4.ts';

const minMatch = 3;
const distanceMask = 0x3ff;

export function unpackLzjb(bytes: Buffer, size: number): Buffer {
  const out = Buffer.allocUnsafe(size);
  let from = 0;
  let to = 0;
  let flags = 0;
  for (let item = 0; to < size; item++) {
    if (item % 8 === 0) flags = byteAt(bytes, from++);
    if (((flags >>> (item % 8)) & 1) === 0) {
      out[to++] = byteAt(bytes, from++);
      continue;
    }
    const first = byteAt(bytes, from++);
    const distance = ((first << 8) | byteAt(bytes, from++)) & distanceMask;
    const length = Math.min((first >>> 2) + minMatch, size - to);
    if (distance === 0 || distance > to) throw new Error('a match goes beyond the block');
    copyMatch(out, {to, distance, length});
    to += length;
  }
  return out;
}

const zeroRuns = 64;

export function unpackZle(bytes: Buffer, size: number): Buffer {
  const out = Buffer.alloc(size);
  let from = 0;
  let to = 0;
  while (to < size) {
    const count = byteAt(bytes, from++) + 1;
    if (count > zeroRuns) {
      to += count - zeroRuns;
      continue;
    }
    if (count > size - to || count > bytes.length - from) throw new Error('literals go beyond the block');
    bytes.copy(out, to, from, from + count);
    from += count;
    to += count;
  }
  if (to > size) throw new Error('zeros go beyond the block');
  return out;
}
