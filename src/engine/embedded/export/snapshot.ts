import {closeSync, constants, openSync} from 'node:fs';
import path from 'node:path';
import {errnoOf} from '../../../errors.ts';
import {isBtrfsSubvolume, snapshotSubvolume} from '../../../sys/btrfs.ts';
import {reflink} from '../../../sys/contents.ts';
import {makeStaging, type Staging, stagedRaw, stagedTree} from '../../../sys/staging.ts';
import type {ExportRequest} from '../../engine.ts';

/** An image that nobody changes while it is read, or the image itself where no such can be made. */
export interface ImageSnapshot extends AsyncDisposable {
  path: string;
}

/** Where a snapshot is not possible: another file system, a read-only one, or an image of somebody else. */
const notPossible = ['EXDEV', 'EROFS', 'EPERM', 'EACCES', 'ENOTTY', 'EINVAL', 'ENOSPC', 'EDQUOT'];

/** A read-only snapshot of a subvolume, or a file that shares the blocks of a disk image, beside the image. */
export async function takeSnapshot(image: string, request: ExportRequest): Promise<ImageSnapshot> {
  const asItIs = {path: image, [Symbol.asyncDispose]: async () => undefined};
  const isTree = request.format === 'tar';
  if (isTree && !isBtrfsSubvolume(image)) return asItIs;
  let staging: Staging | undefined;
  try {
    staging = makeStaging(path.dirname(image), request.localName);
    const copy = path.join(staging.path, isTree ? stagedTree : stagedRaw);
    const isMade = isTree ? snapshotTree(image, copy) : shareBlocks(image, copy);
    if (isMade) {
      const made = staging;
      return {path: copy, [Symbol.asyncDispose]: () => made.remove()};
    }
  } catch (error) {
    if (!notPossible.includes(errnoOf(error) ?? '')) {
      await staging?.remove();
      throw error;
    }
  }
  await staging?.remove();
  return asItIs;
}

function snapshotTree(image: string, copy: string): boolean {
  snapshotSubvolume(image, copy, {readOnly: true});
  return true;
}

/** False where the file system cannot share blocks. */
function shareBlocks(image: string, copy: string): boolean {
  const source = openSync(image, constants.O_RDONLY);
  try {
    const target = openSync(copy, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      return reflink(source, target);
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(source);
  }
}
