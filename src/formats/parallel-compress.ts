/**
 * Compression on all cores (spec/imgadm.md §9): the input is cut into blocks of a fixed size that are compressed side by
 * side and put out in order. The bytes depend on the input alone, never on the number of cores. What comes out is one
 * gzip member, one xz stream of several blocks, or zstd frames or bzip2 streams in a row, which every decoder reads.
 */
import {promisify} from 'node:util';
import {constants, crc32, deflateRaw, zstdCompress} from 'node:zlib';
import type {Encoder, OutputCompression} from './encoder.ts';
import {through} from './through.ts';

// Made when first used: most transfers need neither, and loading zlib takes 2 ms.
const deflateBlock = (block: Buffer, options: object) =>
  promisify<Buffer, object, Buffer>(deflateRaw)(block, options);
const compressFrame = (block: Buffer, options: object) =>
  promisify<Buffer, object, Buffer>(zstdCompress)(block, options);

const gzipBlockBytes = 256 * 1024;
const gzipLevel = 6;
/** What deflate looks back on. */
const windowBytes = 32 * 1024;
/** Magic, deflate, no flags, no time, no extra, Unix (RFC 1952 §2.3). */
const gzipHeader = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
/** An empty last block (RFC 1951 §3.2.6). */
const deflateEnd = Buffer.from([3, 0]);
/** Ten of bzip2's largest blocks. */
const bzip2BlockBytes = 9_000_000;
/** Measured over 3 GiB of disk: two encoders of preset 4 bring a process to 260 MiB, more than a command may take (design.md §8). */
const xz = {preset: 3, blockBytes: 4 * 1024 * 1024, threads: 2};

/** Twice the window of its level, so that little is lost; eight blocks with their contexts stay below 128 MiB. */
const zstd = {level: 3, blockBytes: 4 * 1024 * 1024, maxBlocks: 8};

export interface ParallelOptions {
  /** How many blocks at once. */
  cores: number;
  /** Compresses one block; without it bzip2 is left to the caller. */
  bzip2?: Encoder | undefined;
}

/** Undefined for what has no parallel form here; then `compress` does it. */
export function parallelEncoder(
  compression: OutputCompression,
  {cores, bzip2}: ParallelOptions,
): Encoder | undefined {
  if (compression === 'gzip') return (source) => encodeGzip(source, cores);
  if (compression === 'xz') return (source) => encodeXz(source);
  if (compression === 'zstd') return (source) => encodeZstd(source, cores);
  if (compression !== 'bzip2' || !bzip2) return undefined;
  const encodeBlock = async (block: Buffer) => collect(bzip2(once(block)));
  return (source) => mapInOrder(blocksOf(source, bzip2BlockBytes), cores, encodeBlock);
}

async function* encodeGzip(source: AsyncIterable<Buffer>, cores: number): AsyncGenerator<Buffer> {
  let sum = 0;
  let size = 0n;
  let before: Buffer = Buffer.alloc(0);
  async function* withWindows(): AsyncGenerator<{block: Buffer; dictionary: Buffer}> {
    for await (const block of blocksOf(source, gzipBlockBytes)) {
      sum = crc32(block, sum);
      size += BigInt(block.length);
      yield {block, dictionary: before};
      before = block.subarray(-windowBytes);
    }
  }
  yield gzipHeader;
  // Two a core, so that none waits for the reader.
  yield* mapInOrder(withWindows(), cores * 2, async ({block, dictionary}) => {
    const window = dictionary.length > 0 ? {dictionary} : {};
    return deflateBlock(block, {level: gzipLevel, finishFlush: constants.Z_SYNC_FLUSH, ...window});
  });
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(sum, 0);
  trailer.writeUInt32LE(Number(size & 0xffffffffn), 4);
  yield Buffer.concat([deflateEnd, trailer]);
}

async function* encodeXz(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const {default: lzma} = await import('lzma-native');
  yield* through(
    source,
    lzma.createStream('easyEncoder', {
      preset: xz.preset,
      check: lzma.CHECK_CRC64,
      bufsize: gzipBlockBytes,
      threads: xz.threads,
      blockSize: xz.blockBytes,
    }),
  );
}

/** Frames of their own, because the streams of node:zlib lose an empty input when the library has several workers. */
function encodeZstd(source: AsyncIterable<Buffer>, cores: number): AsyncGenerator<Buffer> {
  const params = {[constants.ZSTD_c_compressionLevel]: zstd.level, [constants.ZSTD_c_checksumFlag]: 1};
  const width = Math.min(cores + 1, zstd.maxBlocks);
  return mapInOrder(blocksOf(source, zstd.blockBytes), width, (block) => compressFrame(block, {params}));
}

/** The same bytes in blocks of exactly `size`, but for the last; an empty input is one empty block. */
async function* blocksOf(source: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
  let block = Buffer.allocUnsafeSlow(size);
  let filled = 0;
  let isFirst = true;
  for await (const chunk of source) {
    for (let done = 0; done < chunk.length; ) {
      const count = chunk.copy(block, filled, done);
      done += count;
      filled += count;
      if (filled < size) continue;
      yield block;
      isFirst = false;
      block = Buffer.allocUnsafeSlow(size);
      filled = 0;
    }
  }
  if (filled > 0 || isFirst) yield block.subarray(0, filled);
}

/** Runs `work` on up to `width` items at once; the results come in the order of the items. */
async function* mapInOrder<Item>(
  source: AsyncIterable<Item>,
  width: number,
  work: (item: Item) => Promise<Buffer>,
): AsyncGenerator<Buffer> {
  const running: Promise<Buffer>[] = [];
  try {
    for await (const item of source) {
      const result = work(item);
      result.catch(() => undefined); // it is awaited below
      running.push(result);
      if (running.length >= width) yield await (running.shift() as Promise<Buffer>);
    }
    while (running.length > 0) yield await (running.shift() as Promise<Buffer>);
  } finally {
    await Promise.allSettled(running);
  }
}

async function* once(block: Buffer): AsyncGenerator<Buffer> {
  yield block;
}

async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}
