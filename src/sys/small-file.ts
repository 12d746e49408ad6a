import {native} from './native.ts';

/** Of the file that was read last. */
export interface FileFacts {
  mode: number;
  uid: number;
  gid: number;
  mtimeNs: bigint;
}

const factsBytes = Buffer.from(new ArrayBuffer(40));
const facts = new Float64Array(factsBytes.buffer);

/**
 * Reads the contents of a regular file that has one name, no attributes and no holes, and lies on the mount of its
 * directory, to the start of a buffer. Returns their length; `no room` where the buffer is too small, and `other` for all
 * else, failures included: then somebody has to look closer.
 */
export function readSmallFile(dir: number, name: Buffer, into: Buffer): number | 'no room' | 'other' {
  const size = native().readSmall(dir, name, into, factsBytes);
  if (size >= 0) return size;
  return size === -2 ? 'no room' : 'other';
}

/** Of the file that was read last. */
export function lastFacts(): FileFacts {
  const [mode = 0, uid = 0, gid = 0, seconds = 0, nanoseconds = 0] = facts;
  return {mode, uid, gid, mtimeNs: BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)};
}
