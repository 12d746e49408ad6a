/** Calls on names below an open directory. Each throws a SystemError that names its path. */
import {checked, native, type PathBytes} from './native.ts';

/** Stands for the working directory where a directory's descriptor is asked for. */
export const AT_FDCWD = -100;
/** open(2): a descriptor for the name alone, which needs no right on the file. */
export const O_PATH = 0o10000000;

const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const RESOLVE_NO_XDEV = 0x01;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_BENEATH = 0x08;

const typeBits = {char: 0o020000, block: 0o060000, fifo: 0o010000, socket: 0o140000, file: 0o100000} as const;

export function openAt(dir: number, path: PathBytes, flags: number, mode = 0): number {
  return checked(native().openat(dir, path, flags, mode), 'openat', path);
}

/**
 * Opens `path` without leaving `dir` and without following any symbolic link (ELOOP) or, if `sameMount`,
 * entering another mount (EXDEV).
 */
export function openBeneath(
  dir: number,
  path: PathBytes,
  flags: number,
  options: {mode?: number; sameMount?: boolean} = {},
): number {
  const resolve =
    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | (options.sameMount ? RESOLVE_NO_XDEV : 0);
  return checked(native().openat2(dir, path, flags, options.mode ?? 0, resolve), 'openat2', path);
}

export function makeDirectoryAt(dir: number, path: PathBytes, mode: number): void {
  checked(native().mkdirat(dir, path, mode), 'mkdirat', path);
}

export function symlinkAt(target: PathBytes, dir: number, path: PathBytes): void {
  checked(native().symlinkat(target, dir, path), 'symlinkat', path);
}

/** Makes a hard link; a symbolic link as source is linked itself. */
export function linkAt(fromDir: number, from: PathBytes, toDir: number, to: PathBytes): void {
  checked(native().linkat(fromDir, from, toDir, to, 0), 'linkat', to);
}

export function unlinkAt(dir: number, path: PathBytes): void {
  checked(native().unlinkat(dir, path, 0), 'unlinkat', path);
}

export function removeDirectoryAt(dir: number, path: PathBytes): void {
  checked(native().unlinkat(dir, path, AT_REMOVEDIR), 'unlinkat', path);
}

export interface NodeSpecification {
  type: keyof typeof typeBits;
  mode: number;
  major?: number;
  minor?: number;
}

export function makeNodeAt(dir: number, path: PathBytes, node: NodeSpecification): void {
  const {type, mode, major = 0, minor = 0} = node;
  checked(native().mknodat(dir, path, typeBits[type] | mode, major, minor), 'mknodat', path);
}

/** Sets the owner of the name itself, not of what a symbolic link points to. */
export function chownAt(dir: number, path: PathBytes, uid: number, gid: number): void {
  checked(native().fchownat(dir, path, uid, gid, AT_SYMLINK_NOFOLLOW), 'fchownat', path);
}

/** Follows symbolic links, as Linux has it: only for names known not to be one. */
export function chmodAt(dir: number, path: PathBytes, mode: number): void {
  checked(native().fchmodat(dir, path, mode), 'fchmodat', path);
}

/** Sets the times of the name itself; an empty path means the descriptor. */
export function setTimesAt(dir: number, path: PathBytes, atimeNs: bigint, mtimeNs: bigint): void {
  checked(native().utimensat(dir, path, atimeNs, mtimeNs, AT_SYMLINK_NOFOLLOW), 'utimensat', path);
}

/**
 * Copies a file with its owner, mode and times to the same name in another directory, in one call; false, and nothing
 * is there, where that does not work or the file has holes or attributes.
 */
export function tryCopyFile(fromDir: number, name: PathBytes, toDir: number): boolean {
  return native().copyFile(fromDir, name, toDir) === 0;
}

const renameFlags = {replace: 0, noReplace: 1, exchange: 2} as const;

export function renameAt(
  fromDir: number,
  from: PathBytes,
  toDir: number,
  to: PathBytes,
  mode: keyof typeof renameFlags = 'replace',
): void {
  checked(native().renameat2(fromDir, from, toDir, to, renameFlags[mode]), 'renameat2', to);
}

/** The name of an entry below an open directory for calls that take only paths. */
export function procPath(dir: number, name: PathBytes): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${dir}/`), Buffer.from(name as string)]);
}
