import {closeSync, utimesSync} from 'node:fs';
import {errnoOf} from '../../errors.ts';
import {isBtrfsSubvolume, snapshotSubvolume} from '../../sys/btrfs.ts';
import {copyTree} from '../../sys/copy-tree.ts';

/**
 * Makes `target` a copy of a directory tree: a snapshot of a btrfs subvolume where that is possible, else file by
 * file into what `makeTree` makes. Returns notices.
 */
export async function importDirectory(
  source: string,
  target: string,
  makeTree: () => number,
): Promise<string[]> {
  if (trySnapshot(source, target)) return [];
  closeSync(makeTree());
  const {notices} = await copyTree(source, target);
  // The top tells when the copy was made, as that of importd does.
  const now = new Date();
  utimesSync(target, now, now);
  return notices;
}

function trySnapshot(source: string, target: string): boolean {
  if (!isBtrfsSubvolume(source)) return false;
  try {
    snapshotSubvolume(source, target);
    return true;
  } catch (error) {
    // Another file system, or a subvolume of somebody else: copying may still work.
    if (['EXDEV', 'EPERM', 'EACCES', 'ENOTTY', 'EINVAL'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}
