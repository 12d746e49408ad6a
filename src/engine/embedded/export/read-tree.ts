/**
 * Turns a directory tree into a tar archive: entries `./…` in the order of their bytes, numeric owners, attributes,
 * hard links, holes. Stays on its mount and follows nothing. Sockets and named pipes are left out, as importd does
 * (spec/engine.md §8). A file that changes meanwhile keeps the size of its header, so that the archive stays whole.
 */
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import {errnoOf} from '../../../errors.ts';
import type {SparseRun} from '../../../formats/tar-sparse.ts';
import {encodeTarHeader, type NewTarEntry, tarEnd, tarPadding} from '../../../formats/tar-writer.ts';
import {findData} from '../../../sys/contents.ts';
import {openBeneath, procPath} from '../../../sys/files.ts';
import type {Losses} from '../../../sys/losses.ts';
import {findXattr, listXattrs} from '../../../sys/xattr.ts';

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const fileFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const chunkBytes = 1024 * 1024;
/** A file in more pieces is stored with its holes: its map would be larger than readers allow. */
const maxRuns = 200_000;

/** Yields the archive of an open directory. What could not be kept is counted in `losses`. */
export async function* readTree(top: number, losses: Losses): AsyncGenerator<Buffer> {
  const reader = new TreeReader(losses);
  const stats = fstatSync(top, {bigint: true});
  yield header({type: 'directory', path: Buffer.from('./'), size: 0, ...metadataOf(stats, top)});
  yield* reader.directory(top, Buffer.from('./'));
  yield tarEnd;
}

class TreeReader {
  readonly #losses: Losses;
  /** The first name of a file that has several, by device and inode. */
  readonly #linked = new Map<string, Buffer>();

  constructor(losses: Losses) {
    this.#losses = losses;
  }

  /** What is in an open directory; `path` ends with a slash. */
  *directory(dir: number, path: Buffer): Generator<Buffer> {
    const names = readdirSync(`/proc/self/fd/${dir}`, {encoding: 'buffer'}).sort(Buffer.compare);
    for (const name of names) yield* this.#present(dir, name, Buffer.concat([path, name]));
  }

  /** An entry that goes away while it is read is no failure. */
  *#present(dir: number, name: Buffer, path: Buffer): Generator<Buffer> {
    try {
      yield* this.#entry(dir, name, path);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      this.#losses.add('changed', String(path));
    }
  }

  *#entry(dir: number, name: Buffer, path: Buffer): Generator<Buffer> {
    const file = procPath(dir, name);
    const stats = lstatSync(file, {bigint: true});
    const linkPath = stats.isDirectory() ? undefined : this.#firstName(stats, path);
    if (stats.isSocket() || stats.isFIFO()) {
      this.#losses.add('special', String(path));
    } else if (stats.isDirectory()) {
      yield* this.#subdirectory(dir, name, path);
    } else if (linkPath) {
      yield header({
        type: 'hardlink',
        path,
        linkPath,
        size: 0,
        ...metadataOf(stats, file),
        xattrs: new Map(),
      });
    } else if (stats.isFile()) {
      yield* this.#file(dir, name, path);
    } else if (stats.isSymbolicLink()) {
      const target = readlinkSync(file, {encoding: 'buffer'});
      yield header({type: 'symlink', path, linkPath: target, size: 0, ...metadataOf(stats, file)});
    } else {
      const type = stats.isBlockDevice() ? 'block' : 'char';
      yield header({type, path, size: 0, ...deviceOf(stats), ...metadataOf(stats, file)});
    }
  }

  #firstName(stats: BigIntStats, path: Buffer): Buffer | undefined {
    if (stats.nlink === 1n) return undefined;
    const key = `${stats.dev}:${stats.ino}`;
    const first = this.#linked.get(key);
    if (!first) this.#linked.set(key, path);
    return first;
  }

  *#subdirectory(dir: number, name: Buffer, path: Buffer): Generator<Buffer> {
    const slashed = Buffer.concat([path, Buffer.from('/')]);
    const fd = openSameMount(dir, name, directoryFlags);
    if (fd === undefined) {
      // The directory below the mount cannot be seen; what is mounted has another owner and times.
      const stats = lstatSync(procPath(dir, name), {bigint: true});
      yield header({type: 'directory', path: slashed, size: 0, ...metadataOf(stats, procPath(dir, name))});
      return this.#losses.add('mount', String(path));
    }
    try {
      const stats = fstatSync(fd, {bigint: true});
      yield header({type: 'directory', path: slashed, size: 0, ...metadataOf(stats, fd)});
      yield* this.directory(fd, slashed);
    } finally {
      closeSync(fd);
    }
  }

  *#file(dir: number, name: Buffer, path: Buffer): Generator<Buffer> {
    const fd = openSameMount(dir, name, fileFlags);
    if (fd === undefined) return this.#losses.add('mount', String(path));
    try {
      const stats = fstatSync(fd, {bigint: true});
      if (!stats.isFile()) return this.#losses.add('changed', String(path));
      const size = Number(stats.size);
      const runs = findRuns(fd, size);
      const entry: NewTarEntry = {type: 'file', path, size, ...metadataOf(stats, fd)};
      yield header(runs ? {...entry, runs} : entry);
      let stored = 0;
      for (const run of runs ?? [{offset: 0, length: size}]) {
        if (!(yield* fileBody(fd, run))) this.#losses.add('changed', String(path));
        stored += run.length;
      }
      yield tarPadding(stored);
    } finally {
      closeSync(fd);
    }
  }
}

function header(entry: NewTarEntry): Buffer {
  return encodeTarHeader(entry);
}

/** The bytes of a run; zeros, and false at the end, where the file has become shorter. */
export function* fileBody(fd: number, {offset, length}: SparseRun): Generator<Buffer, boolean> {
  let isWhole = true;
  for (let done = 0; done < length; ) {
    const buffer = Buffer.allocUnsafe(Math.min(length - done, chunkBytes));
    let count = isWhole ? readSync(fd, buffer, 0, buffer.length, offset + done) : 0;
    if (count === 0) {
      isWhole = false;
      count = buffer.fill(0).length;
    }
    done += count;
    yield buffer.subarray(0, count);
  }
  return isWhole;
}

/** Where a file holds data; undefined for one without holes. */
export function findRuns(fd: number, size: number): SparseRun[] | undefined {
  const runs: SparseRun[] = [];
  let stored = 0;
  for (let range = findData(fd, 0, size); range; range = findData(fd, range.end, size)) {
    runs.push({offset: range.start, length: range.end - range.start});
    stored += range.end - range.start;
    if (runs.length > maxRuns) return undefined;
  }
  return stored < size ? runs : undefined;
}

/** Undefined for what lies on another mount. */
function openSameMount(dir: number, name: Buffer, flags: number): number | undefined {
  try {
    return openBeneath(dir, name, flags, {sameMount: true});
  } catch (error) {
    if (errnoOf(error) === 'EXDEV') return undefined;
    throw error;
  }
}

/** The split of dev_t in makedev(3). */
function deviceOf({rdev}: BigIntStats): {major: number; minor: number} {
  return {
    major: Number(((rdev >> 32n) & 0xfffff000n) | ((rdev >> 8n) & 0xfffn)),
    minor: Number(((rdev >> 12n) & 0xffffff00n) | (rdev & 0xffn)),
  };
}

function metadataOf(stats: BigIntStats, file: number | Buffer): Omit<NewTarEntry, 'type' | 'path' | 'size'> {
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
