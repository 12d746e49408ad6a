import {fstatSync, ftruncateSync, readSync, writeSync} from 'node:fs';
import {copyRange, EarlyWriting, findData, reflink} from './contents.ts';
import {Pace} from './pace.ts';

const rangeBytes = 16 * 1024 * 1024;
const bufferBytes = 1024 * 1024;

export interface CopyFileOptions {
  signal?: AbortSignal;
  /** Called with the position in the file. */
  onProgress?: (position: number) => void;
}

/**
 * Copies the contents of an open file into another that is open and empty: shares the blocks where the file
 * system can, else copies data and leaves holes. The caller closes both and syncs.
 */
export async function copyFileContents(
  source: number,
  target: number,
  options: CopyFileOptions = {},
): Promise<'reflink' | 'copy'> {
  if (reflink(source, target)) return 'reflink';
  const pace = new Pace(options.signal);
  for (const position of copySteps(source, target)) {
    options.onProgress?.(position);
    await pace.step();
  }
  return 'copy';
}

/** The same without giving way to anything, for processes that do nothing else. */
export function copyFileNow(source: number, target: number): void {
  if (reflink(source, target)) return;
  const steps = copySteps(source, target);
  while (!steps.next().done);
}

/** Copies as it is asked for positions. */
function* copySteps(source: number, target: number): Generator<number> {
  const size = fstatSync(source).size;
  ftruncateSync(target, size);
  const early = new EarlyWriting(target);
  let position = 0;
  for (let range = findData(source, 0, size); range; range = findData(source, position, size)) {
    position = range.start;
    while (position < range.end) {
      const length = Math.min(range.end - position, rangeBytes);
      const copied =
        copyRange(source, position, target, position, length) ?? copyBytes(source, target, position, length);
      if (copied === 0) throw new Error('The source became shorter while it was copied');
      position += copied;
      early.reached(position);
      yield position;
    }
  }
}

function copyBytes(source: number, target: number, position: number, length: number): number {
  const buffer = Buffer.allocUnsafe(Math.min(length, bufferBytes));
  const read = readSync(source, buffer, 0, buffer.length, position);
  writeFully(target, buffer.subarray(0, read), position);
  return read;
}

/** Writes all of `bytes`, whatever the kernel takes at once. */
export function writeFully(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}
