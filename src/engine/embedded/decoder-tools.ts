/** bzip2 is twice as fast by its tool; everything else is at least as fast in this process. */
import {accessSync, constants} from 'node:fs';
import {pipeline, Readable} from 'node:stream';
import type {DecompressOptions} from '../../formats/decompress.ts';
import {startProcess} from '../../sys/run.ts';

const bzip2 = '/usr/bin/bzip2';

export function decoderTools(): NonNullable<DecompressOptions['replacements']> {
  try {
    accessSync(bzip2, constants.X_OK);
    return {bzip2: runBzip2};
  } catch {
    return {}; // not installed: the decoder in JavaScript does it
  }
}

async function* runBzip2(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const stop = new AbortController();
  const child = startProcess(bzip2, ['-dc'], {
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
