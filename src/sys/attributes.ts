/** Inode attributes as chattr(1) has them. */
import {constants} from 'node:os';
import {checked, native, SystemError} from './native.ts';

const FS_IMMUTABLE_FL = 0x10;
const FS_NOCOW_FL = 0x800000;

const unsupported = new Set([constants.errno.EOPNOTSUPP, constants.errno.ENOTTY, constants.errno.EINVAL]);

/** False also where the file system has no such attribute. */
export function isImmutable(fd: number): boolean {
  const attributes = native().getAttributes(fd);
  return attributes >= 0 && (attributes & FS_IMMUTABLE_FL) !== 0;
}

/** Returns false where the file system has no such attribute; throws EPERM without CAP_LINUX_IMMUTABLE. */
export function setImmutable(fd: number, on: boolean): boolean {
  return change(fd, FS_IMMUTABLE_FL, on);
}

/** False also where the file system has no such attribute. */
export function isNoCow(fd: number): boolean {
  const attributes = native().getAttributes(fd);
  return attributes >= 0 && (attributes & FS_NOCOW_FL) !== 0;
}

/** Turns copy-on-write off for a file that is still empty; false where that means nothing. */
export function setNoCow(fd: number): boolean {
  return change(fd, FS_NOCOW_FL, true);
}

function change(fd: number, flag: number, on: boolean): boolean {
  const before = native().getAttributes(fd);
  if (unsupported.has(-before)) return false;
  checked(before, 'ioctl FS_IOC_GETFLAGS');
  const after = on ? before | flag : before & ~flag;
  if (after === before) return true;
  const result = native().setAttributes(fd, after);
  if (unsupported.has(-result)) return false;
  if (result < 0) throw new SystemError(-result, 'ioctl FS_IOC_SETFLAGS');
  return true;
}
