/** bzip2 is twice as fast by its tool, and compressed only by it; everything else is done in this process. */
import {accessSync, constants} from 'node:fs';
import {pipeline, Readable} from 'node:stream';
import type {Encoder} from '../../formats/compress.ts';
import type {DecompressOptions} from '../../formats/decompress.ts';
import {startProcess} from '../../sys/run.ts';

const bzip2 = '/usr/bin/bzip2';

export function decoderTools(): NonNullable<DecompressOptions['replacements']> {
  // Not installed: the decoder in JavaScript does it.
  return hasBzip2() ? {bzip2: (source) => runBzip2('-dc', source)} : {};
}

/** Undefined where the tool is not installed. */
export function bzip2Encoder(): Encoder | undefined {
  return hasBzip2() ? (source) => runBzip2('-9c', source) : undefined;
}

function hasBzip2(): boolean {
  try {
    accessSync(bzip2, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function* runBzip2(option: string, source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const stop = new AbortController();
  const child = startProcess(bzip2, [option], {
    stdin: 'pipe',
    stdout: 'pipe',
    signal: stop.signal,
    graceMs: 0,
  });
  let sourceError: Error | undefined;
  if (!child.stdin || !child.stdout) throw new Error('bzip2 was started without pipes');
  pipeline(Readable.from(source, {objectMode: true, highWaterMark: 1}), child.stdin, (error) => {
    // EPIPE means that bzip2 ended early; its own message says why.
    if (error && (error as NodeJS.ErrnoException).code !== 'EPIPE') sourceError = error;
    if (sourceError) stop.abort();
  });
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const end = await child.ended;
    if (sourceError) throw sourceError;
    // It only warns of data after the end, and then exits with 0.
    if (end.exitCode !== 0 || end.stderrTail !== '') throw new Error(reasonOf(end.stderrTail));
  } finally {
    stop.abort();
    await child.ended;
  }
}

function reasonOf(stderr: string): string {
  if (stderr.includes('trailing garbage')) return 'there is other data after the end';
  if (stderr.includes('ends unexpectedly')) return 'it ends too early';
  return 'bzip2 reports damaged data';
}
