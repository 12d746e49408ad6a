import {closeSync, lstatSync, readdirSync} from 'node:fs';
import {procPath} from '../../../sys/files.ts';
import {directoryFlags, openSameMount} from '../export/tree-entry.ts';

/** For each path (latin1) of a file that has several in the tree: all of them, as one text. */
export type LinkGroups = ReadonlyMap<string, string>;

export function findLinkGroups(top: number): LinkGroups {
  const byInode = new Map<string, string[]>();
  visit(top, './', byInode);
  const groups = new Map<string, string>();
  for (const paths of byInode.values()) {
    if (paths.length === 1) continue;
    const text = paths.sort().join('\0');
    for (const path of paths) groups.set(path, text);
  }
  return groups;
}

function visit(dir: number, path: string, byInode: Map<string, string[]>): void {
  for (const name of readdirSync(`/proc/self/fd/${dir}`, {encoding: 'buffer'})) {
    const stats = lstatSync(procPath(dir, name), {bigint: true, throwIfNoEntry: false});
    if (!stats) continue;
    const own = path + name.toString('latin1');
    if (stats.isDirectory()) {
      const fd = openSameMount(dir, name, directoryFlags);
      if (fd === undefined) continue;
      try {
        visit(fd, `${own}/`, byInode);
      } finally {
        closeSync(fd);
      }
    } else if (stats.nlink > 1n) {
      const key = `${stats.dev}:${stats.ino}`;
      byInode.set(key, [...(byInode.get(key) ?? []), own]);
    }
  }
}
