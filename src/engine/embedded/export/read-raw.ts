import {fstatSync, readSync} from 'node:fs';
import {ImgctlError} from '../../../errors.ts';
import {dataRuns} from '../../../formats/sparse.ts';
import {findData, reflink} from '../../../sys/contents.ts';
import type {Output} from './output.ts';

const chunkBytes = 1024 * 1024;
const zeros = Buffer.alloc(chunkBytes);

/** All bytes of a disk image; holes are not read. */
export async function* readRaw(
  source: number,
  onPosition: (position: number) => void,
): AsyncGenerator<Buffer> {
  const {size} = fstatSync(source);
  for (let position = 0; position < size; ) {
    const {start, end} = findData(source, position, size) ?? {start: size, end: size};
    for (; position < start; onPosition(position)) {
      const length = Math.min(start - position, chunkBytes);
      position += length;
      yield zeros.subarray(0, length);
    }
    for (; position < end; onPosition(position)) {
      const bytes = readAt(source, position, Math.min(end - position, chunkBytes));
      position += bytes.length;
      yield bytes;
    }
  }
}

/** Writes a disk image as it is: sharing its blocks, else with holes, else in full, by what the output can. */
export function copyRawTo(source: number, output: Output, onPosition: (position: number) => void): void {
  const {size} = fstatSync(source);
  if (output.isEmptyFile && reflink(source, output.fd)) output.skip(size);
  else copyData(source, size, output, onPosition);
}

function copyData(
  source: number,
  size: number,
  output: Output,
  onPosition: (position: number) => void,
): void {
  let written = 0;
  const goTo = (position: number) => {
    if (output.canHaveHoles) output.skip(position - written);
    else
      for (; written < position; written += zeros.length) output.write(zeros.subarray(0, position - written));
    written = position;
  };
  let position = 0;
  for (let range = findData(source, 0, size); range; range = findData(source, position, size)) {
    for (position = range.start; position < range.end; onPosition(position)) {
      const bytes = readAt(source, position, Math.min(range.end - position, chunkBytes));
      for (const run of dataRuns(bytes, position)) {
        goTo(run.offset);
        output.write(run.bytes);
        written += run.bytes.length;
      }
      position += bytes.length;
    }
  }
  goTo(size);
  output.finish();
}

/** A buffer of its own, because encoders keep parts of it. */
function readAt(source: number, position: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(length);
  const count = readSync(source, buffer, 0, length, position);
  if (count === 0) throw new ImgctlError('FileSystem', 'The image became shorter while it was read');
  return buffer.subarray(0, count);
}
