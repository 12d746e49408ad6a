/** The one place that picks an encoder; levels as importd has them (spec/engine.md §4). */
import {constants, createGzip, createZstdCompress} from 'node:zlib';
import {ImgctlError} from '../errors.ts';
import type {Encoder, OutputCompression} from './encoder.ts';
import {parallelEncoder} from './parallel-compress.ts';
import {through} from './through.ts';

export type {Encoder, OutputCompression} from './encoder.ts';

const bufferBytes = 256 * 1024;
const gzipLevel = 6;
const xzPreset = 6;
const zstdLevel = 3;

/**
 * Yields the compressed bytes. bzip2 is not made here but by the encoder given, a tool; without one it is refused
 * with `NotSupported`. With `cores` the work is shared by so many, in blocks of its own (parallel-compress.ts).
 */
export async function* compress(
  source: AsyncIterable<Buffer>,
  compression: OutputCompression,
  bzip2?: Encoder,
  cores?: number,
): AsyncGenerator<Buffer> {
  const parallel = cores === undefined ? undefined : parallelEncoder(compression, {cores, bzip2});
  yield* (parallel ?? encoderFor(compression, bzip2))(source);
}

function encoderFor(compression: OutputCompression, bzip2: Encoder | undefined): Encoder {
  if (compression === 'gzip') return encodeGzip;
  if (compression === 'zstd') return encodeZstd;
  if (compression === 'xz') return encodeXz;
  if (compression === 'uncompressed') return (source) => source;
  if (bzip2) return bzip2;
  throw new ImgctlError(
    'NotSupported',
    'bzip2 compression needs the program "bzip2", which is not installed',
    {
      hint: 'Install bzip2, or choose another compression',
    },
  );
}

function encodeGzip(source: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  return through(source, createGzip({level: gzipLevel, chunkSize: bufferBytes}));
}

function encodeZstd(source: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  const params = {[constants.ZSTD_c_compressionLevel]: zstdLevel, [constants.ZSTD_c_checksumFlag]: 1};
  return through(source, createZstdCompress({params, chunkSize: bufferBytes}));
}

async function* encodeXz(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  // Loaded here, because loading it opens a native library that few commands need.
  const {default: lzma} = await import('lzma-native');
  const options = {preset: xzPreset, check: lzma.CHECK_CRC64, bufsize: bufferBytes};
  yield* through(source, lzma.createStream('easyEncoder', options));
}
