/**
 * Puts an incremental image over the copy of its base that lies in the working directory. First the base is compared
 * with the digest that the image was made over, so that a wrong or changed one is refused untouched.
 */
import {closeSync, constants, existsSync, fsyncSync, ftruncateSync, openSync} from 'node:fs';
import {errnoOf, ImgctlError} from '../../../errors.ts';
import {Qcow2Image} from '../../../formats/qcow2/qcow2-image.ts';
import type {RandomAccess} from '../../../formats/qcow2/random-access.ts';
import {readTar} from '../../../formats/tar-reader.ts';
import {punchHole, syncFileSystem} from '../../../sys/contents.ts';
import {writeFully} from '../../../sys/copy-file.ts';
import {copyUserAttributes} from '../../../sys/metadata.ts';
import {stagedRaw, stagedTree} from '../../../sys/staging.ts';
import type {TreeWriterOptions} from '../tree-writer.ts';
import {digestDisk, digestTree} from './content-digest.ts';
import {LayerWriter} from './layer-writer.ts';

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const zeros = Buffer.alloc(64 * 1024);

/** Returns what could not be kept. */
export async function applyLayer(
  bytes: AsyncIterable<Buffer>,
  options: TreeWriterOptions & {baseDigest: string | undefined},
): Promise<string[]> {
  if (!existsSync(stagedTree)) throw wrongKind('a layer of a directory tree', 'a disk');
  const top = openSync(stagedTree, directoryFlags);
  const writer = new LayerWriter(top, options);
  try {
    if (options.baseDigest !== undefined) requireSame(digestTree(top), options.baseDigest);
    for await (const entry of readTar(bytes)) await writer.add(entry);
    writer.finish();
    syncFileSystem(top);
    return writer.losses.sentences();
  } finally {
    await writer.close();
    closeSync(top);
  }
}

export interface DiskDelta {
  /** The qcow2 image. */
  source: RandomAccess;
  /** The file that gives times and attributes. */
  sourceFd: number;
  maxBytes: number;
  baseDigest: string | undefined;
  onPosition: (position: number, size: number) => void;
}

/** Returns the size of the disk. */
export async function applyDiskDelta(delta: DiskDelta): Promise<number> {
  if (!existsSync(stagedRaw)) throw wrongKind('the changes of a disk', 'a directory tree');
  const image = new Qcow2Image(delta.source, {maxVirtualBytes: delta.maxBytes});
  const fd = openSync(stagedRaw, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    if (delta.baseDigest !== undefined) requireSame(await digestDisk(fd), delta.baseDigest);
    ftruncateSync(fd, image.virtualSize);
    for (const run of image.changes()) {
      if (run.bytes) writeFully(fd, run.bytes, run.offset);
      else clear(fd, run.offset, run.length);
      delta.onPosition(run.offset, image.virtualSize);
    }
    copyUserAttributes(delta.sourceFd, fd);
    fsyncSync(fd);
    return image.virtualSize;
  } finally {
    closeSync(fd);
  }
}

function clear(fd: number, offset: number, length: number): void {
  try {
    punchHole(fd, offset, length);
  } catch (error) {
    if (!['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errnoOf(error) ?? '')) throw error;
    for (let done = 0; done < length; done += zeros.length)
      writeFully(fd, zeros.subarray(0, length - done), offset + done);
  }
}

function requireSame(found: string, wanted: string): void {
  if (found === wanted) return;
  throw new ImgctlError(
    'OriginMismatch',
    `The image was made over other contents than those of its origin here: ${wanted}, not ${found}`,
    {details: {found, wanted}},
  );
}

function wrongKind(file: string, base: string): ImgctlError {
  return new ImgctlError('InvalidArchive', `The file holds ${file}, but its origin is ${base}`);
}
