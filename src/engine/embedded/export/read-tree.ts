/**
 * Turns a directory tree into a tar archive: entries `./…` in the order of their bytes, numeric owners, attributes,
 * hard links, holes. Stays on its mount and follows nothing. Sockets and named pipes are left out, as importd does
 * (spec/engine.md §8). A file that changes meanwhile keeps the size of its header, so that the archive stays whole.
 */
import {type BigIntStats, closeSync, fstatSync, lstatSync, readdirSync, readlinkSync} from 'node:fs';
import {errnoOf} from '../../../errors.ts';
import {encodeTarHeader, type NewTarEntry, tarEnd, tarPadding} from '../../../formats/tar-writer.ts';
import {procPath} from '../../../sys/files.ts';
import type {Losses} from '../../../sys/losses.ts';
import {SmallFiles} from './small-files.ts';
import {
  deviceOf,
  directoryFlags,
  fileFlags,
  findRuns,
  metadataOf,
  openSameMount,
  readBody,
} from './tree-entry.ts';

const bodyBytes = 256 * 1024;

/**
 * Yields the archive of an open directory. What could not be kept is counted in `losses`. With `reuse` a piece is good
 * until the next is asked for: new memory costs as much as the reading.
 */
export function* readTree(top: number, losses: Losses, {reuse = false} = {}): Generator<Buffer> {
  const body = reuse ? Buffer.allocUnsafeSlow(bodyBytes) : undefined;
  const reader = new TreeReader(losses, {body, small: new SmallFiles({reuse})});
  const stats = fstatSync(top, {bigint: true});
  yield encodeTarHeader({type: 'directory', path: Buffer.from('./'), size: 0, ...metadataOf(stats, top)});
  yield* reader.directory(top, Buffer.from('./'));
  yield* reader.rest();
  yield tarEnd;
}

export class TreeReader {
  readonly #losses: Losses;
  readonly #body: Buffer | undefined;
  readonly #small: SmallFiles | undefined;
  /** The first name of a file that has several, by device and inode. */
  readonly #linked = new Map<string, Buffer>();

  /** Contents are read into `body`, if there is one. With `small`, the last entries come only from `rest`. */
  constructor(losses: Losses, {body, small}: {body?: Buffer | undefined; small?: SmallFiles} = {}) {
    this.#losses = losses;
    this.#body = body;
    this.#small = small;
  }

  *rest(): Generator<Buffer> {
    if (this.#small) yield* this.#small.take();
  }

  /** What is in an open directory; `path` ends with a slash. */
  *directory(dir: number, path: Buffer): Generator<Buffer> {
    const names = readdirSync(`/proc/self/fd/${dir}`, {encoding: 'buffer'}).sort(Buffer.compare);
    for (const name of names) {
      const whole = Buffer.concat([path, name]);
      let state = this.#small?.add(dir, name, whole) ?? 'other';
      if (state !== 'added') yield* this.rest();
      if (state === 'full') state = this.#small?.add(dir, name, whole) ?? 'other';
      if (state !== 'added') yield* this.entry(dir, name, whole);
    }
  }

  /** An entry that goes away while it is read is no failure. */
  *entry(dir: number, name: Buffer, path: Buffer): Generator<Buffer> {
    try {
      yield* this.#present(dir, name, path);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      this.#losses.add('changed', String(path));
    }
  }

  *#present(dir: number, name: Buffer, path: Buffer): Generator<Buffer> {
    const file = procPath(dir, name);
    const stats = lstatSync(file, {bigint: true});
    const linkPath = stats.isDirectory() ? undefined : this.#firstName(stats, path);
    if (stats.isSocket() || stats.isFIFO()) {
      this.#losses.add('special', String(path));
    } else if (stats.isDirectory()) {
      yield* this.#subdirectory(dir, name, path);
    } else if (linkPath) {
      yield encodeTarHeader({
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
      yield encodeTarHeader({type: 'symlink', path, linkPath: target, size: 0, ...metadataOf(stats, file)});
    } else {
      const type = stats.isBlockDevice() ? 'block' : 'char';
      yield encodeTarHeader({type, path, size: 0, ...deviceOf(stats), ...metadataOf(stats, file)});
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
      yield encodeTarHeader({
        type: 'directory',
        path: slashed,
        size: 0,
        ...metadataOf(stats, procPath(dir, name)),
      });
      return this.#losses.add('mount', String(path));
    }
    try {
      const stats = fstatSync(fd, {bigint: true});
      yield encodeTarHeader({type: 'directory', path: slashed, size: 0, ...metadataOf(stats, fd)});
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
      yield encodeTarHeader(runs ? {...entry, runs} : entry);
      let stored = 0;
      for (const run of runs ?? [{offset: 0, length: size}]) {
        if (!(yield* readBody(fd, run, this.#body))) this.#losses.add('changed', String(path));
        stored += run.length;
      }
      yield tarPadding(stored);
    } finally {
      closeSync(fd);
    }
  }
}
