/** Archives that hold an OS tree one directory down are lifted, as importd does (spec/engine.md §6). */
import {type BigIntStats, closeSync, constants, fstatSync, readdirSync} from 'node:fs';
import {errnoOf} from '../../errors.ts';
import {O_PATH, openAt, openBeneath, removeDirectoryAt, renameAt} from '../../sys/files.ts';
import {randomHex} from '../../sys/random-hex.ts';

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

export interface LiftedDirectory {
  name: Buffer;
  stats: BigIntStats;
}

/**
 * If `top` holds no OS tree but exactly one directory that does, moves what is in it up and removes it.
 * Tells then what it was. Metadata of `top` stay as they are.
 */
export function liftOsTree(top: number): LiftedDirectory | undefined {
  const names = readdirSync(`/proc/self/fd/${top}`, {encoding: 'buffer'});
  const [name] = names;
  if (!name || names.length > 1 || isOsTree(top)) return undefined;
  const inner = openDirectory(top, name);
  if (inner === undefined) return undefined;
  try {
    if (!isOsTree(inner)) return undefined;
    const stats = fstatSync(inner, {bigint: true});
    // Out of the way of an entry that has the same name as the directory.
    const aside = `.#lift${randomHex(8)}`;
    renameAt(top, name, top, aside, 'noReplace');
    for (const entry of readdirSync(`/proc/self/fd/${inner}`, {encoding: 'buffer'})) {
      renameAt(inner, entry, top, entry, 'noReplace');
    }
    removeDirectoryAt(top, aside);
    return {name, stats};
  } finally {
    closeSync(inner);
  }
}

function openDirectory(dir: number, name: Buffer): number | undefined {
  try {
    return openAt(dir, name, directoryFlags);
  } catch (error) {
    if (['ENOTDIR', 'ELOOP', 'ENXIO'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

function isOsTree(dir: number): boolean {
  return ['etc/os-release', 'usr/lib/os-release'].some((path) => {
    try {
      closeSync(openBeneath(dir, path, O_PATH | constants.O_NOFOLLOW));
      return true;
    } catch (error) {
      if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return false;
      throw error;
    }
  });
}
