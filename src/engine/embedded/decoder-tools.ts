/**
 * What beats the decoders in this process: bzip2 takes half the time of the one in JavaScript, and liblzma of the system
 * half of that of the bundled one, and from 5.4 on it decodes blocks side by side. bzip2 is compressed only by its tool.
 */
import {accessSync, constants} from 'node:fs';
import {pipeline, Readable} from 'node:stream';
import type {Encoder} from '../../formats/compress.ts';
import type {DecompressLimits, DecompressOptions} from '../../formats/decompress.ts';
import {decodeXz} from '../../formats/xz.ts';
import {startProcess} from '../../sys/run.ts';
import {XzDecoder} from '../../sys/xz-decoder.ts';
import {decodeBySystem} from './system-xz.ts';

interface Tool {
  program: string;
  /** What the end of a run that was not clean means. */
  failure: (stderr: string) => Error;
}

const bzip2: Tool = {program: '/usr/bin/bzip2', failure: bzip2Failure};

/** A tool that is not installed is left out: then the decoder in this process does it. */
export function decoderTools(): NonNullable<DecompressOptions['replacements']> {
  return {
    ...(isInstalled(bzip2) && {bzip2: (source) => run(bzip2, ['-dc'], source)}),
    xz: decodeXzBest,
  };
}

/** Undefined where the tool is not installed. */
export function bzip2Encoder(): Encoder | undefined {
  return isInstalled(bzip2) ? (source) => run(bzip2, ['-9c'], source) : undefined;
}

function decodeXzBest(source: AsyncIterable<Buffer>, limits: DecompressLimits): AsyncIterable<Buffer> {
  const decoder = XzDecoder.open(limits.maxMemoryBytes);
  return decoder ? decodeBySystem(decoder, source, limits) : decodeXz(source, limits);
}

function isInstalled({program}: Tool): boolean {
  try {
    accessSync(program, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function* run(
  {program, failure}: Tool,
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
    // bzip2 only warns of data after the end, and then exits with 0.
    if (end.exitCode !== 0 || end.stderrTail !== '') throw failure(end.stderrTail);
  } finally {
    stop.abort();
    await child.ended;
  }
}

function bzip2Failure(stderr: string): Error {
  if (stderr.includes('trailing garbage')) return new Error('there is other data after the end');
  if (stderr.includes('ends unexpectedly')) return new Error('it ends too early');
  return new Error('bzip2 reports damaged data');
}
