/**
 * What beats the decoders that come along: liblzma of the system takes half the time of the bundled one, and from 5.4 on
 * decodes blocks side by side; blocks of bzip2 are independent, and decoded here on all cores; gzip has a decoder of our own,
 * a third faster than zlib; libzstd works beside the writing, which the streams of Node around it hold back. bzip2 is
 * compressed only by its tool.
 */
import {accessSync, constants} from 'node:fs';
import {pipeline, Readable} from 'node:stream';
import {compress, type Encoder, type OutputCompression} from '../../formats/compress.ts';
import type {DecompressOptions} from '../../formats/decompress.ts';
import type {Compression} from '../../formats/sniff.ts';
import {decodeXz} from '../../formats/xz.ts';
import {decodeZstd} from '../../formats/zstd.ts';
import {startProcess} from '../../sys/run.ts';
import {XzDecoder} from '../../sys/xz-decoder.ts';
import {ZstdDecoder} from '../../sys/zstd-codec.ts';
import {zstdFrameEncoder} from './export/zstd-frames.ts';
import {OutputBuffers} from './output-buffers.ts';
import {decodeInParallel} from './parallel-bzip2.ts';
import {decodeNatively as decodeGzipNatively} from './system-gzip.ts';
import {decodeBySystem} from './system-xz.ts';
import {decodeBySystem as decodeZstdBySystem} from './system-zstd.ts';

const bzip2 = '/usr/bin/bzip2';

/** A library that is not installed is left out: then the decoder that comes along does it. */
export function decoderTools(
  buffers: OutputBuffers = new OutputBuffers(),
): NonNullable<DecompressOptions['replacements']> {
  return {
    bzip2: (source) => decodeInParallel(source, buffers),
    gzip: (source) => decodeGzipNatively(source, buffers),
    xz(source, limits) {
      const decoder = XzDecoder.open(limits.maxMemoryBytes);
      return decoder ? decodeBySystem(decoder, source, limits, buffers) : decodeXz(source, limits);
    },
    zstd(source, limits) {
      const decoder = ZstdDecoder.open();
      return decoder ? decodeZstdBySystem(decoder, source, limits, buffers) : decodeZstd(source, limits);
    },
  };
}

/** Whether the decoder is done with each chunk before it asks for the next; those with streams of Node in them keep some. */
export function takesChunksInTurn(compression: Compression): boolean {
  return compression === 'gzip' || (compression === 'zstd' && ZstdDecoder.open() !== undefined);
}

/** As `compress` does, by what beats it. What is yielded is good until the next is asked for. */
export function compressBest(
  source: AsyncIterable<Buffer>,
  compression: OutputCompression,
  cores?: number,
): AsyncIterable<Buffer> {
  const zstd = compression === 'zstd' && cores !== undefined ? zstdFrameEncoder(cores) : undefined;
  return zstd ? zstd(source) : compress(source, compression, bzip2Encoder(), cores);
}

/** Undefined where the tool is not installed. */
function bzip2Encoder(): Encoder | undefined {
  return isInstalled(bzip2) ? (source) => run(bzip2, ['-9c'], source) : undefined;
}

function isInstalled(program: string): boolean {
  try {
    accessSync(program, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function* run(
  program: string,
  options: readonly string[],
  source: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const stop = new AbortController();
  const child = startProcess(program, options, {
    stdin: 'pipe',
    stdout: 'pipe',
    signal: stop.signal,
    graceMs: 0,
  });
  let sourceError: Error | undefined;
  if (!child.stdin || !child.stdout) throw new Error(`${program} was started without pipes`);
  pipeline(Readable.from(source, {objectMode: true, highWaterMark: 1}), child.stdin, (error) => {
    // EPIPE means that the tool ended early; its own message says why.
    if (error && (error as NodeJS.ErrnoException).code !== 'EPIPE') sourceError = error;
    if (sourceError) stop.abort();
  });
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const end = await child.ended;
    if (sourceError) throw sourceError;
    if (end.exitCode !== 0) throw new Error(`bzip2 failed: ${end.stderrTail}`);
  } finally {
    stop.abort();
    await child.ended;
  }
}
