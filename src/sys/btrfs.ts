/** btrfs subvolumes. A read-only subvolume can be neither written nor, unless made writable again, removed. */
import {closeSync, constants, fstatSync, openSync, statfsSync} from 'node:fs';
import {endianness} from 'node:os';
import path from 'node:path';
import {AT_FDCWD, openAt} from './files.ts';
import {checked, native, type PathBytes} from './native.ts';

const BTRFS_SUPER_MAGIC = 0x9123683e;
/** BTRFS_FIRST_FREE_OBJECTID: the inode number of the top of every subvolume. */
const SUBVOLUME_INODE = 256;
const BTRFS_SUBVOL_RDONLY = 2;

/** True when `file` (a path that is followed, or a descriptor) lies on btrfs. */
export function isBtrfs(file: string | number): boolean {
  const place = typeof file === 'number' ? `/proc/self/fd/${file}` : file;
  return statfsSync(place).type === BTRFS_SUPER_MAGIC;
}

/** True for the top directory of a subvolume; false for everything else, also where nothing is. */
export function isBtrfsSubvolume(file: string | number): boolean {
  if (typeof file === 'number') return fstatSync(file).ino === SUBVOLUME_INODE && isBtrfs(file);
  try {
    const fd = openSync(file, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      return isBtrfsSubvolume(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

export function createSubvolumeAt(dir: number, name: PathBytes): void {
  checked(native().subvolumeCreate(dir, name), 'ioctl BTRFS_IOC_SUBVOL_CREATE', name);
}

/** Makes `target`, which must not exist, a snapshot of the subvolume `source` on the same file system. */
export function snapshotSubvolume(source: string, target: string, options: {readOnly?: boolean} = {}): void {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY;
  const sourceFd = openAt(AT_FDCWD, source, flags | constants.O_NOFOLLOW);
  try {
    const parentFd = openAt(AT_FDCWD, path.dirname(target), flags);
    try {
      const result = native().subvolumeSnapshot(
        parentFd,
        path.basename(target),
        sourceFd,
        options.readOnly ? 1 : 0,
      );
      checked(result, 'ioctl BTRFS_IOC_SNAP_CREATE', target);
    } finally {
      closeSync(parentFd);
    }
  } finally {
    closeSync(sourceFd);
  }
}

/** Removes a subvolume that holds no other; EPERM for users unless the mount allows it. */
export function destroySubvolumeAt(dir: number, name: PathBytes): void {
  checked(native().subvolumeDestroy(dir, name), 'ioctl BTRFS_IOC_SNAP_DESTROY', name);
}

export function isSubvolumeReadOnly(fd: number): boolean {
  const flags = checked(native().subvolumeGetFlags(fd), 'ioctl BTRFS_IOC_SUBVOL_GETFLAGS');
  return (flags & BTRFS_SUBVOL_RDONLY) !== 0;
}

export function setSubvolumeReadOnly(fd: number, on: boolean): void {
  const before = checked(native().subvolumeGetFlags(fd), 'ioctl BTRFS_IOC_SUBVOL_GETFLAGS');
  const after = on ? before | BTRFS_SUBVOL_RDONLY : before & ~BTRFS_SUBVOL_RDONLY;
  if (after !== before) checked(native().subvolumeSetFlags(fd, after), 'ioctl BTRFS_IOC_SUBVOL_SETFLAGS');
}

export interface SubvolumeQuota {
  /** Bytes that the subvolume leads to, and those of them that nothing else does. */
  referencedBytes: number;
  exclusiveBytes: number;
  limitBytes: number | undefined;
  exclusiveLimitBytes: number | undefined;
}

/** Undefined where the file system does not count, or does not tell this user. */
export function findSubvolumeQuota(fd: number): SubvolumeQuota | undefined {
  const counted = native().subvolumeQuota(fd);
  if (typeof counted === 'number') return undefined;
  const [referenced = 0n, exclusive = 0n, limit = 0n, exclusiveLimit = 0n] = [0, 8, 16, 24].map((offset) =>
    endianness() === 'LE' ? counted.readBigUInt64LE(offset) : counted.readBigUInt64BE(offset),
  );
  const limitOf = (bytes: bigint): number | undefined => (bytes === noLimit ? undefined : Number(bytes));
  return {
    referencedBytes: Number(referenced),
    exclusiveBytes: Number(exclusive),
    limitBytes: limitOf(limit),
    exclusiveLimitBytes: limitOf(exclusiveLimit),
  };
}

const noLimit = 0xffff_ffff_ffff_ffffn;
