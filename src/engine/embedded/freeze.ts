/** Read-only marking of images, as importd does it (spec/engine.md §7), and taking it away before a removal. */
import {closeSync, constants, fchmodSync, fstatSync, lstatSync, openSync} from 'node:fs';
import {errnoOf} from '../../errors.ts';
import {isImmutable, setImmutable} from '../../sys/attributes.ts';
import {isBtrfsSubvolume, isSubvolumeReadOnly, setSubvolumeReadOnly} from '../../sys/btrfs.ts';

const writeBits = 0o222;
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** How an image is kept from being written: by its subvolume, by an attribute of its directory, by its mode. */
export type FreezeKind = 'subvolume' | 'immutable' | 'mode' | 'unsupported';

/** Marks an image read-only and tells how; EPERM where this user may not. */
export function freeze(path: string): FreezeKind {
  return withOpen(path, (fd) => {
    const stats = fstatSync(fd);
    if (!stats.isDirectory()) {
      fchmodSync(fd, stats.mode & 0o7777 & ~writeBits);
      return 'mode';
    }
    if (isBtrfsSubvolume(fd)) {
      setSubvolumeReadOnly(fd, true);
      return 'subvolume';
    }
    return setImmutable(fd, true) ? 'immutable' : 'unsupported';
  });
}

/** Lets a directory be moved again; false if nothing had to be done. Files, links and devices need nothing. */
export function thaw(path: string): boolean {
  if (!lstatSync(path).isDirectory()) return false;
  return withOpen(path, (fd) => {
    if (isBtrfsSubvolume(fd) && isSubvolumeReadOnly(fd)) {
      setSubvolumeReadOnly(fd, false);
      return true;
    }
    if (!isImmutable(fd)) return false;
    setImmutable(fd, false);
    return true;
  });
}

export function isFrozen(path: string): boolean {
  return withOpen(path, (fd) => {
    const stats = fstatSync(fd);
    if (!stats.isDirectory()) return (stats.mode & writeBits) === 0;
    return isBtrfsSubvolume(fd) ? isSubvolumeReadOnly(fd) : isImmutable(fd);
  });
}

function withOpen<Result>(path: string, use: (fd: number) => Result): Result {
  const fd = openSync(path, openFlags);
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

export function isForbidden(error: unknown): boolean {
  return ['EPERM', 'EACCES'].includes(errnoOf(error) ?? '');
}
