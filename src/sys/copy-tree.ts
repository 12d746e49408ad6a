/**
 * Copies a directory tree with everything an inode has: type, mode, owner, nanosecond times, hard links, devices,
 * attributes, access lists and capabilities, holes. Stays on the mount it begins on.
 */
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  readdirSync,
  readlinkSync,
} from 'node:fs';
import {copyFileContents} from './copy-file.ts';
import {
  AT_FDCWD,
  linkAt,
  makeDirectoryAt,
  makeNodeAt,
  openAt,
  openBeneath,
  procPath,
  symlinkAt,
  tryCopyFile,
} from './files.ts';
import {Losses} from './losses.ts';
import {type Metadata, type Place, setMetadata} from './metadata.ts';
import {Pace} from './pace.ts';
import {findXattr, listXattrs} from './xattr.ts';

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

export interface CopyTreeOptions {
  signal?: AbortSignal;
  /** Called with the path, relative to the source, of each entry before it is copied. */
  onEntry?: (path: string) => void;
}

export interface CopyTreeResult {
  /** What the copy could not keep, a sentence for each kind; never filled as root on an able file system. */
  notices: string[];
}

/**
 * Copies `source` to `target`, which is made unless it is there as an empty directory (a subvolume, say).
 * On failure the half-made target stays for the caller to remove.
 */
export async function copyTree(
  source: string,
  target: string,
  options: CopyTreeOptions = {},
): Promise<CopyTreeResult> {
  const sourceFd = openAt(AT_FDCWD, source, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    makeUnlessThere(target);
    const targetFd = openAt(AT_FDCWD, target, directoryFlags);
    try {
      const copy = new TreeCopy(targetFd, options);
      await copy.directory(sourceFd, targetFd, '');
      copy.finish(sourceFd, {dir: targetFd, name: '.', fd: targetFd, label: '.'});
      return {notices: copy.losses.sentences()};
    } finally {
      closeSync(targetFd);
    }
  } finally {
    closeSync(sourceFd);
  }
}

function makeUnlessThere(target: string): void {
  try {
    makeDirectoryAt(AT_FDCWD, target, 0o700);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

class TreeCopy {
  readonly losses = new Losses();
  readonly #top: number;
  readonly #options: CopyTreeOptions;
  readonly #pace: Pace;
  /** Where the first name of a file with several was copied to, by device and inode. */
  readonly #linked = new Map<string, Buffer>();

  constructor(top: number, options: CopyTreeOptions) {
    this.#top = top;
    this.#options = options;
    this.#pace = new Pace(options.signal);
  }

  /** Copies what is in an open directory; its own metadata comes after, because writing into it changes them. */
  async directory(source: number, target: number, path: string): Promise<void> {
    for (const name of readdirSync(`/proc/self/fd/${source}`, {encoding: 'buffer'})) {
      await this.#pace.step();
      const entryPath = path === '' ? name.toString('latin1') : `${path}/${name.toString('latin1')}`;
      this.#options.onEntry?.(Buffer.from(entryPath, 'latin1').toString());
      await this.#entry(source, target, name, entryPath);
    }
  }

  async #entry(source: number, target: number, name: Buffer, path: string): Promise<void> {
    const stats = lstatSync(procPath(source, name), {bigint: true});
    const place: Place = {dir: target, name, label: Buffer.from(path, 'latin1').toString()};
    if (!stats.isDirectory() && stats.nlink > 1n && this.#link(stats, target, name, path)) return;
    if (stats.isDirectory()) return await this.#subdirectory(source, place, path);
    if (stats.isFile()) return await this.#file(source, place);
    if (stats.isSymbolicLink()) {
      symlinkAt(readlinkSync(procPath(source, name), {encoding: 'buffer'}), target, name);
    } else if (!this.#node(stats, place)) {
      this.#linked.delete(inodeKey(stats));
      return;
    }
    const metadata = metadataOf(stats, procPath(source, name));
    setMetadata({...place, isSymlink: stats.isSymbolicLink()}, metadata, this.losses);
  }

  /** Metadata of a directory whose entries are all there. */
  finish(source: number, place: Place): void {
    setMetadata(place, metadataOf(fstatSync(source, {bigint: true}), source), this.losses);
  }

  #link(stats: BigIntStats, target: number, name: Buffer, path: string): boolean {
    const key = inodeKey(stats);
    const first = this.#linked.get(key);
    if (!first) this.#linked.set(key, Buffer.from(path, 'latin1'));
    else linkAt(this.#top, first, target, name);
    return first !== undefined;
  }

  async #subdirectory(source: number, place: Place, path: string): Promise<void> {
    makeDirectoryAt(place.dir, place.name, 0o700);
    const from = openSameMount(source, place.name as Buffer);
    if (from === undefined) return this.losses.add('mount', place.label);
    try {
      const to = openBeneath(place.dir, place.name, directoryFlags);
      try {
        await this.directory(from, to, path);
        this.finish(from, {...place, fd: to});
      } finally {
        closeSync(to);
      }
    } finally {
      closeSync(from);
    }
  }

  async #file(source: number, place: Place): Promise<void> {
    if (tryCopyFile(source, place.name, place.dir)) return;
    const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
    const from = openAt(source, place.name, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const to = openAt(place.dir, place.name, flags, 0o600);
      try {
        const {signal} = this.#options;
        await copyFileContents(from, to, signal ? {signal} : {});
        this.finish(from, {...place, fd: to});
      } finally {
        closeSync(to);
      }
    } finally {
      closeSync(from);
    }
  }

  /** False if this user may not make the node. */
  #node(stats: BigIntStats, place: Place): boolean {
    const type = stats.isFIFO()
      ? 'fifo'
      : stats.isSocket()
        ? 'socket'
        : stats.isBlockDevice()
          ? 'block'
          : 'char';
    const device = stats.rdev;
    // The split of dev_t in makedev(3).
    const major = Number(((device >> 32n) & 0xfffff000n) | ((device >> 8n) & 0xfffn));
    const minor = Number(((device >> 12n) & 0xffffff00n) | (device & 0xffn));
    try {
      makeNodeAt(place.dir, place.name, {type, mode: 0o600, major, minor});
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
      this.losses.add('device', place.label);
      return false;
    }
  }
}

function inodeKey(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}`;
}

function openSameMount(dir: number, name: Buffer): number | undefined {
  try {
    return openBeneath(dir, name, directoryFlags, {sameMount: true});
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EXDEV') return undefined;
    throw error;
  }
}

function metadataOf(stats: BigIntStats, file: number | Buffer): Metadata {
  const xattrs = new Map<string, Buffer>();
  for (const name of listXattrs(file)) {
    const value = findXattr(file, name);
    if (value) xattrs.set(name, value);
  }
  return {
    mode: Number(stats.mode) & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtimeNs: stats.mtimeNs,
    xattrs,
  };
}
