/** Writes disk images: sparse, and sharing blocks with the source where the file system can. */
import {fstatSync, ftruncateSync, readSync} from 'node:fs';
import {ImgctlError} from '../../errors.ts';
import {Qcow2Image} from '../../formats/qcow2/qcow2-image.ts';
import {setNoCow} from '../../sys/attributes.ts';
import {EarlyWriting, findData, reflink, writeSparse} from '../../sys/contents.ts';
import {diskTooLarge} from './failure.ts';
import type {FileAccess} from './file-source.ts';
import {writeParts} from './write-parts.ts';

const bufferBytes = 1024 * 1024;

/** Told how far the disk is written; the beginning stays as it is. */
export type OnWritten = (position: number) => void;

/** Writes chunks whose total size is not known before; returns it. */
export async function writeRaw(
  target: number,
  chunks: AsyncIterable<Buffer>,
  onWritten?: OnWritten,
): Promise<number> {
  tryNoCow(target);
  const early = new EarlyWriting(target);
  let position = 0;
  for await (const chunk of chunks) {
    writeSparse(target, chunk, position);
    position += chunk.length;
    early.reached(position);
    onWritten?.(position);
  }
  ftruncateSync(target, position);
  return position;
}

/** Copies an uncompressed image; returns its size. Zeros become holes even where the source has none. */
export function copyRaw(
  source: number,
  target: number,
  options: {maxBytes: number; onPosition: (position: number) => void; onWritten?: OnWritten | undefined},
): number {
  const {size} = fstatSync(source);
  if (size > options.maxBytes) throw diskTooLarge(size, options.maxBytes);
  if (reflink(source, target)) {
    options.onPosition(size);
    return size;
  }
  tryNoCow(target);
  ftruncateSync(target, size);
  const buffer = Buffer.allocUnsafeSlow(bufferBytes);
  const early = new EarlyWriting(target);
  let position = 0;
  for (let range = findData(source, 0, size); range; range = findData(source, position, size)) {
    position = range.start;
    while (position < range.end) {
      const length = readSync(source, buffer, 0, Math.min(bufferBytes, range.end - position), position);
      if (length === 0) throw new ImgctlError('FileSystem', 'The source became shorter while it was read');
      writeSparse(target, buffer.subarray(0, length), position);
      position += length;
      early.reached(position);
      options.onWritten?.(position);
      options.onPosition(position);
    }
  }
  return size;
}

/** Writes the disk inside a qcow2 image; returns its size. */
export async function convertQcow2(
  source: FileAccess,
  target: number,
  options: {
    maxBytes: number;
    onPosition: (position: number, size: number) => void;
    onWritten?: OnWritten | undefined;
  },
): Promise<number> {
  const image = new Qcow2Image(source, {maxVirtualBytes: options.maxBytes});
  const size = image.virtualSize;
  tryNoCow(target);
  ftruncateSync(target, size);
  const early = new EarlyWriting(target);
  const onPosition = (position: number) => {
    early.reached(position);
    options.onWritten?.(position);
    options.onPosition(position, size);
  };
  if (await writeParts(image, source.fd, target, onPosition)) return size;
  for (const {offset, bytes} of image.runs()) {
    writeSparse(target, bytes, offset);
    onPosition(offset);
  }
  return size;
}

/** Disk images are rewritten in place, which fragments them where every write goes elsewhere. */
export function tryNoCow(target: number): void {
  try {
    setNoCow(target);
  } catch (error) {
    // Only an optimisation: a user namespace or a strange file system may refuse it.
    if (!(error instanceof Error)) throw error;
  }
}
