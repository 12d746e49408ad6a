/** The one place that picks a decoder, applies the limit on its output and names what went wrong. */
import {ImgctlError} from '../errors.ts';
import {decodeBzip2} from './bzip2.ts';
import {decodeGzip} from './gzip.ts';
import type {Compression} from './sniff.ts';
import {decodeXz} from './xz.ts';
import {decodeZstd} from './zstd.ts';

export interface DecompressLimits {
  /** Decompressed bytes; more end with `LimitExceeded`. */
  maxOutputBytes: number;
  /** zstd window. */
  maxWindowBytes: number;
  /** xz decoder memory. */
  maxMemoryBytes: number;
}

const mebibyte = 1024 * 1024;

export const defaultDecompressLimits: DecompressLimits = {
  maxOutputBytes: 1024 * 1024 * mebibyte,
  maxWindowBytes: 128 * mebibyte,
  maxMemoryBytes: 130 * mebibyte, // a dictionary of 128 MiB
};

export type Decoder = (source: AsyncIterable<Buffer>, limits: DecompressLimits) => AsyncIterable<Buffer>;
type Compressed = Exclude<Compression, 'none' | 'lz4'>;

const decoders: Record<Compressed, Decoder> = {
  gzip: decodeGzip,
  xz: decodeXz,
  zstd: decodeZstd,
  bzip2: decodeBzip2,
};

export interface DecompressOptions {
  limits?: Partial<DecompressLimits>;
  /** Used instead of the decoders here, e.g. to run a faster tool. */
  replacements?: Partial<Record<Compressed, Decoder>>;
}

/**
 * Yields the decompressed bytes. Damaged, truncated and trailing data end with `UncompressionError`; errors of
 * the source pass through. Nothing may be trusted before the last chunk has come.
 */
export async function* decompress(
  source: AsyncIterable<Buffer>,
  compression: Compression,
  options: DecompressOptions = {},
): AsyncGenerator<Buffer> {
  const limits = {...defaultDecompressLimits, ...options.limits};
  if (compression === 'lz4') throw new ImgctlError('NotSupported', 'lz4 compression is not supported');
  const watched = new WatchedSource(source);
  let output: AsyncIterable<Buffer> = watched.chunks();
  if (compression !== 'none') {
    output = (options.replacements?.[compression] ?? decoders[compression])(output, limits);
  }
  let size = 0;
  const chunks = output[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await chunks.next().catch((error: unknown) => {
        throw watched.failure ?? asUncompressionError(error, compression);
      });
      if (next.done) return;
      size += next.value.length;
      if (size > limits.maxOutputBytes) throw tooLarge(limits.maxOutputBytes);
      if (next.value.length > 0) yield next.value;
    }
  } finally {
    await chunks.return?.();
  }
}

/** Remembers a failure of the source, which decoders would report as their own. */
class WatchedSource {
  failure: unknown;
  readonly #source: AsyncIterable<Buffer>;

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source;
  }

  /** A decoder that fails may throw its error into this, so only `next` is watched. */
  async *chunks(): AsyncGenerator<Buffer> {
    const source = this.#source[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await source.next().catch((error: unknown) => {
          this.failure = error;
          throw error;
        });
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await source.return?.();
    }
  }
}

function asUncompressionError(error: unknown, compression: Compression): ImgctlError {
  if (error instanceof ImgctlError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new ImgctlError('UncompressionError', `The ${compression} data cannot be decompressed: ${reason}`, {
    cause: error,
    hint: 'The file is damaged or incomplete; get it again',
  });
}

function tooLarge(limit: number): ImgctlError {
  return new ImgctlError(
    'LimitExceeded',
    `The decompressed data is larger than the limit of ${limit} bytes`,
    {
      hint: 'Raise the limit if the image is really that large',
    },
  );
}
