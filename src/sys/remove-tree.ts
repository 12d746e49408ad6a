/** Removes a name with everything below it: read-only and immutable things and btrfs subvolumes too. */
import {closeSync, constants, fchmodSync, fstatSync, readdirSync} from 'node:fs';
import path from 'node:path';
import {errnoOf} from '../errors.ts';
import {isImmutable, setImmutable} from './attributes.ts';
import {destroySubvolumeAt, isBtrfsSubvolume, setSubvolumeReadOnly} from './btrfs.ts';
import {AT_FDCWD, chmodAt, openAt, openBeneath, removeDirectoryAt, unlinkAt} from './files.ts';
import {Pace} from './pace.ts';

/**
 * Removes `name` in the open directory `dir`; nothing there is fine. Never follows symbolic links and never
 * enters another mount: a busy mount point ends it with EBUSY or EXDEV.
 */
export async function removeTreeAt(dir: number, name: string | Buffer, pace = new Pace()): Promise<void> {
  await pace.step();
  const code = attempt(() => unlinkAt(dir, name));
  if (code === undefined || code === 'ENOENT') return;
  if (code !== 'EISDIR' && code !== 'EPERM') unlinkAt(dir, name);
  const fd = openForRemoval(dir, name);
  try {
    if (isImmutable(fd)) setImmutable(fd, false);
    const notDirectory = attempt(() => unlinkAt(dir, name));
    if (notDirectory === undefined) return;
    const isSubvolume = isBtrfsSubvolume(fd);
    if (isSubvolume) {
      attempt(() => setSubvolumeReadOnly(fd, false));
      if (attempt(() => destroySubvolumeAt(dir, name)) === undefined) return;
    }
    // An ordinary user's own directory without write permission; who may not change it learns so below.
    if ((fstatSync(fd).mode & 0o700) !== 0o700) attempt(() => fchmodSync(fd, 0o700));
    for (const entry of readdirSync(`/proc/self/fd/${fd}`, {encoding: 'buffer'})) {
      await removeTreeAt(fd, entry, pace);
    }
    if (isSubvolume && attempt(() => destroySubvolumeAt(dir, name)) === undefined) return;
    removeDirectoryAt(dir, name);
  } finally {
    closeSync(fd);
  }
}

/** As `removeTreeAt`, for a path. */
export async function removeTree(file: string, signal?: AbortSignal): Promise<void> {
  const parent = openAt(AT_FDCWD, path.dirname(file), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await removeTreeAt(parent, path.basename(file), new Pace(signal));
  } finally {
    closeSync(parent);
  }
}

function openForRemoval(dir: number, name: string | Buffer): number {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
  try {
    return openBeneath(dir, name, flags, {sameMount: true});
  } catch (error) {
    if (errnoOf(error) !== 'EACCES') throw error;
    chmodAt(dir, name, 0o700); // an ordinary user's own directory without read permission
    return openBeneath(dir, name, flags, {sameMount: true});
  }
}

/** The errno name of a failed call, undefined if it worked. */
function attempt(call: () => void): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    return code;
  }
}
