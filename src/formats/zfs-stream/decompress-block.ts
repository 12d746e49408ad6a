/** Blocks as ZFS stores them: compressed bytes, then padding that decoders must not mind (section 3 of the page). */
import {constants, inflateSync, zstdDecompressSync} from 'node:zlib';
import {unpackLz4} from './lz4.ts';
import {unpackLzjb, unpackZle} from './lzjb.ts';
import {invalidStream} from './zfs-errors.ts';

type Unpack = (bytes: Buffer, size: number) => Buffer;

const none = 0;
const off = 2;
const lzjb = 3;
const firstGzip = 5;
const lastGzip = 13;
const zle = 14;
const lz4 = 15;
const zstd = 16;

const zstdMagic = Buffer.from('28b52ffd', 'hex');
/** A block of 16 MiB needs a window of 2^24 at most. */
const maxWindowLog = 24;

/** Exactly `size` bytes, or an error that calls the block `what`. */
export function decompressBlock(bytes: Buffer, compression: number, size: number, what: string): Buffer {
  const unpack = unpackers.get(compression);
  if (!unpack) throw invalidStream(`${what} has an unknown compression (${compression})`);
  let block: Buffer;
  try {
    block = unpack(bytes, size);
  } catch (error) {
    throw invalidStream(`${what} cannot be decompressed`, error);
  }
  if (block.length !== size) throw invalidStream(`${what} has ${block.length} bytes instead of ${size}`);
  return block;
}

const unpackers = new Map<number, Unpack>([
  [none, (bytes, size) => bytes.subarray(0, size)],
  [off, (bytes, size) => bytes.subarray(0, size)],
  [lzjb, unpackLzjb],
  [zle, unpackZle],
  [lz4, (bytes, size) => unpackLz4(sized(bytes, 4), size)],
  [zstd, unpackZstd],
]);
for (let level = firstGzip; level <= lastGzip; level++) unpackers.set(level, unpackGzip);

/** Both say in big-endian how many compressed bytes follow their prefix. */
function sized(bytes: Buffer, prefix: number): Buffer {
  const length = bytes.readUInt32BE(0);
  if (length > bytes.length - prefix) throw new Error('it is longer than the block');
  return bytes.subarray(prefix, prefix + length);
}

function unpackGzip(bytes: Buffer, size: number): Buffer {
  return inflateSync(bytes, {maxOutputLength: size, chunkSize: Math.max(size, 64)});
}

function unpackZstd(bytes: Buffer, size: number): Buffer {
  return zstdDecompressSync(Buffer.concat([zstdMagic, sized(bytes, 8)]), {
    maxOutputLength: size,
    chunkSize: Math.max(size, 64),
    params: {[constants.ZSTD_d_windowLogMax]: maxWindowLog},
  });
}
