import {closeSync, utimesSync} from 'node:fs';
import {trySnapshot} from '../../sys/copy-image.ts';
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
