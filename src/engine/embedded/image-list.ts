/** What images a class directory holds, as systemd sees it: directories, subvolumes, `NAME.raw` files, devices. */
import {type BigIntStats, closeSync, constants, openSync, readdirSync, statSync} from 'node:fs';
import path from 'node:path';
import {errnoOf} from '../../errors.ts';
import {isImageName} from '../../import1/image-name.ts';
import {findSubvolumeQuota, isBtrfsSubvolume, type SubvolumeQuota} from '../../sys/btrfs.ts';
import type {ImageStore, StoredImage} from '../engine.ts';
import {isFrozen} from './freeze.ts';
import {readVerificationAt} from './pull/download-copies.ts';

const blockBytes = 512n; // unit of st_blocks, stat(2)
const rawSuffix = '.raw';
/** Directories that choose between versions, and layered images, are no images by themselves. */
const otherSuffixes = ['.v', '.mstack'];

export function readImages(store: ImageStore, {withHidden}: {withHidden: boolean}): StoredImage[] {
  const images = readNames(store.directory)
    .filter((name) => withHidden || !name.startsWith('.'))
    .filter((name) => !otherSuffixes.some((suffix) => name.endsWith(suffix)))
    .sort()
    .flatMap((name) => readImage(store, name) ?? []);
  if (!withHidden) return images;
  const detailed = images.map(withDetails);
  return store.imageClass === 'machine' ? [withDetails(hostImage()), ...detailed] : detailed;
}

/** The running system, which systemd counts among the machines and writes to as to no image (spec/importctl.md §7). */
function hostImage(): StoredImage {
  const stats = statSync('/', {bigint: true});
  return {
    imageClass: 'machine',
    name: '.host',
    type: isSubvolumeFollowed('/') ? 'subvolume' : 'directory',
    path: '/',
    readOnly: true,
    createdUs: microseconds(stats.birthtimeNs),
    modifiedUs: 0,
    usageBytes: undefined,
    limitBytes: undefined,
  };
}

/** What a descriptor of the image tells; nothing of one that has gone or that this user may not open. */
function withDetails(image: StoredImage): StoredImage {
  if (image.type === 'block') return image;
  try {
    const fd = openSync(image.path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const quota = image.type === 'subvolume' ? findSubvolumeQuota(fd) : undefined;
      const verification = readVerificationAt(fd);
      return {...image, ...(quota && countedSizes(quota)), ...(verification && {verification})};
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (['ELOOP', 'EACCES', 'EPERM', 'ENOENT'].includes(errnoOf(error) ?? '')) return image;
    throw error;
  }
}

function countedSizes(quota: SubvolumeQuota): Partial<StoredImage> {
  const {referencedBytes, limitBytes, exclusiveBytes, exclusiveLimitBytes} = quota;
  return {
    usageBytes: referencedBytes,
    limitBytes,
    exclusiveBytes,
    ...(exclusiveLimitBytes !== undefined && {exclusiveLimitBytes}),
  };
}

function readNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Undefined for what is no image, or has just gone. Symbolic links stand for what they point to. */
function readImage(store: ImageStore, fileName: string): StoredImage | undefined {
  const file = path.join(store.directory, fileName);
  const stats = statSync(file, {bigint: true, throwIfNoEntry: false});
  const isRaw = fileName.endsWith(rawSuffix) && stats?.isFile();
  const isImage = stats && (isRaw || stats.isDirectory() || stats.isBlockDevice());
  const name = isRaw ? fileName.slice(0, -rawSuffix.length) : fileName;
  if (!isImage || !isImageName(name)) return undefined;
  const isSubvolume = stats.isDirectory() && isSubvolumeFollowed(file);
  return {
    imageClass: store.imageClass,
    name,
    type: isRaw ? 'raw' : stats.isBlockDevice() ? 'block' : isSubvolume ? 'subvolume' : 'directory',
    path: file,
    readOnly: isReadOnly(file),
    createdUs: microseconds(stats.birthtimeNs),
    // A directory's own time says nothing of its tree; a subvolume's says when the tree changed.
    modifiedUs: stats.isDirectory() && !isSubvolume ? 0 : microseconds(stats.mtimeNs),
    ...sizes(stats),
  };
}

function sizes(stats: BigIntStats): Pick<StoredImage, 'usageBytes' | 'limitBytes'> {
  if (!stats.isFile()) return {usageBytes: undefined, limitBytes: undefined};
  return {usageBytes: Number(stats.blocks * blockBytes), limitBytes: Number(stats.size)};
}

function microseconds(nanoseconds: bigint): number {
  return Number(nanoseconds / 1000n);
}

function isSubvolumeFollowed(file: string): boolean {
  const fd = openSync(file, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return isBtrfsSubvolume(fd);
  } finally {
    closeSync(fd);
  }
}

/** A symbolic link or a directory this user cannot open counts as writable: nothing says otherwise. */
function isReadOnly(file: string): boolean {
  try {
    return isFrozen(file);
  } catch (error) {
    if (['ELOOP', 'EACCES', 'EPERM', 'ENOENT', 'ENXIO'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}
