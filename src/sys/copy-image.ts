/** Copies of whole images: a tree or a disk, in the cheapest way that the file system has. */
import {closeSync, constants, lstatSync, openSync} from 'node:fs';
import {open} from 'node:fs/promises';
import path from 'node:path';
import {errnoOf, ImgctlError} from '../errors.ts';
import {createSubvolumeAt, isBtrfs, isBtrfsSubvolume, snapshotSubvolume} from './btrfs.ts';
import {syncFileSystem} from './contents.ts';
import {copyFileContents} from './copy-file.ts';
import {copyTree} from './copy-tree.ts';

export interface CopyImageOptions {
  signal?: AbortSignal;
  /** Fail rather than copy what may change meanwhile. */
  onlySnapshot?: boolean;
}

/**
 * Makes `target`, which must not exist, a writable copy of the image at `source`, synced: a snapshot on btrfs, with shared
 * blocks where the file system can, sparse elsewhere. Returns what the copy could not keep, a sentence each. After a
 * failure the caller removes what is there.
 */
export async function copyImage(
  source: string,
  target: string,
  options: CopyImageOptions = {},
): Promise<string[]> {
  if (!lstatSync(source).isDirectory()) {
    await copyDisk(source, target, options);
    return [];
  }
  if (trySnapshot(source, target)) return [];
  if (options.onlySnapshot)
    throw new ImgctlError('NotSupported', `"${source}" is in use, and no snapshot of it can be made`);
  if (isBtrfs(path.dirname(target))) makeSubvolume(target);
  const {notices} = await copyTree(source, target, options);
  const fd = openSync(target, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    syncFileSystem(fd);
  } finally {
    closeSync(fd);
  }
  return notices;
}

/** False where a snapshot cannot be made: `source` is no subvolume, or lies elsewhere, or is somebody else's. */
export function trySnapshot(source: string, target: string): boolean {
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

function makeSubvolume(target: string): void {
  const parent = openSync(path.dirname(target), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    createSubvolumeAt(parent, path.basename(target));
  } catch (error) {
    // A directory does as well.
    if (!['EPERM', 'EACCES', 'ENOTTY', 'EOPNOTSUPP'].includes(errnoOf(error) ?? '')) throw error;
  } finally {
    closeSync(parent);
  }
}

async function copyDisk(source: string, target: string, options: CopyImageOptions): Promise<void> {
  const from = await open(source, 'r');
  try {
    const to = await open(target, 'wx', 0o644);
    try {
      await to.chmod(0o644);
      await copyFileContents(from.fd, to.fd, options);
      await to.sync();
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}
