/**
 * Turns what differs between a tree and its base into a layer (OCI image specification, layer.md): entries that are new
 * or changed with all directories above them, and whiteouts for those that are gone. Metadata and contents are
 * compared, never times alone. All names of a file are in it when one of them is, so that they stay one file.
 */
import {type BigIntStats, closeSync, fstatSync, lstatSync, readdirSync, readlinkSync} from 'node:fs';
import {ImgctlError} from '../../../errors.ts';
import {encodeTarHeader, tarEnd} from '../../../formats/tar-writer.ts';
import {openBeneath, procPath} from '../../../sys/files.ts';
import type {Losses} from '../../../sys/losses.ts';
import {TreeReader} from '../export/read-tree.ts';
import {directoryFlags, fileFlags, metadataOf, openSameMount} from '../export/tree-entry.ts';
import {haveSameContents} from './contents.ts';
import {findLinkGroups, type LinkGroups} from './link-groups.ts';
import {isWhiteout, opaqueName, whiteoutOf} from './whiteout.ts';

const topPath = Buffer.from('./');

/** An open directory of the tree and the one of its base, if the base has it. */
interface Pair {
  dir: number;
  base: number | undefined;
  /** Ends with a slash. */
  path: Buffer;
}

export function* readLayer(top: number, base: number, losses: Losses): Generator<Buffer> {
  const reader = new LayerReader({top, base}, losses);
  yield* reader.directory({dir: top, base, path: topPath});
  yield tarEnd;
}

class LayerReader {
  readonly #losses: Losses;
  readonly #reader: TreeReader;
  readonly #links: LinkGroups;
  readonly #baseLinks: LinkGroups;
  /** Whether a file of several names is changed, by device and inode. */
  readonly #decided = new Map<string, boolean>();
  /** Headers of directories above, which are written only when something in them is. */
  #waiting: Buffer[] = [];

  constructor({top, base}: {top: number; base: number}, losses: Losses) {
    this.#losses = losses;
    this.#reader = new TreeReader(losses);
    this.#links = findLinkGroups(top);
    this.#baseLinks = findLinkGroups(base);
  }

  *directory({dir, base, path}: Pair): Generator<Buffer> {
    const metadata = metadataOf(fstatSync(dir, {bigint: true}), dir);
    const header = encodeTarHeader({type: 'directory', path, size: 0, ...metadata});
    this.#waiting.push(header);
    const isSame =
      base !== undefined && isSameMetadata(metadata, metadataOf(fstatSync(base, {bigint: true}), base));
    // The top is always in it: an archive of nothing is not known for one.
    if (!isSame || path.equals(topPath)) yield* this.#flush();
    const names = namesIn(dir);
    yield* this.#whiteouts({dir, base, path}, names);
    for (const name of names) yield* this.#entry({dir, base, path}, name);
    if (this.#waiting.at(-1) === header) this.#waiting.pop();
  }

  *#flush(): Generator<Buffer> {
    const headers = this.#waiting;
    this.#waiting = [];
    yield* headers;
  }

  *#whiteouts({dir, base, path}: Pair, names: readonly Buffer[]): Generator<Buffer> {
    if (base === undefined) return;
    const kept = new Set(names.filter((name) => this.#stays(dir, base, name)).map(latin1));
    const before = namesIn(base);
    const gone = before.filter((name) => !kept.has(latin1(name)));
    if (gone.length === 0) return;
    yield* this.#flush();
    const marks = gone.length === before.length ? [opaqueName] : gone.map(whiteoutOf);
    for (const mark of marks) yield emptyFile(Buffer.concat([path, mark]));
  }

  /** A socket, or a pipe unless it is as it was, is not in the layer and must not leave what was there before. */
  #stays(dir: number, base: number, name: Buffer): boolean {
    const stats = lstatOrNothing(dir, name);
    if (!stats || stats.isSocket()) return false;
    return !stats.isFIFO() || this.#isSameFifo(stats, lstatOrNothing(base, name));
  }

  #isSameFifo(stats: BigIntStats, before: BigIntStats | undefined): boolean {
    return before?.isFIFO() === true && stats.mode === before.mode && stats.uid === before.uid;
  }

  *#entry(pair: Pair, name: Buffer): Generator<Buffer> {
    const path = Buffer.concat([pair.path, name]);
    if (isWhiteout(name)) throw reservedName(path);
    const stats = lstatOrNothing(pair.dir, name);
    if (!stats) return this.#losses.add('changed', String(path));
    const before = pair.base === undefined ? undefined : lstatOrNothing(pair.base, name);
    if (stats.isDirectory()) {
      yield* this.#subdirectory(pair, name, before?.isDirectory() === true);
    } else if (stats.isSocket() || stats.isFIFO()) {
      if (!this.#isSameFifo(stats, before)) this.#losses.add('special', String(path));
    } else if (
      !before ||
      pair.base === undefined ||
      this.#isChanged({...pair, base: pair.base}, name, {stats, before})
    ) {
      yield* this.#flush();
      yield* this.#reader.entry(pair.dir, name, path);
    }
  }

  *#subdirectory(pair: Pair, name: Buffer, hasBase: boolean): Generator<Buffer> {
    const path = Buffer.concat([pair.path, name, Buffer.from('/')]);
    const dir = openSameMount(pair.dir, name, directoryFlags);
    if (dir === undefined) return this.#losses.add('mount', String(path));
    try {
      if (!hasBase || pair.base === undefined) return yield* this.directory({dir, base: undefined, path});
      const base = openBeneath(pair.base, name, directoryFlags);
      try {
        yield* this.directory({dir, base, path});
      } finally {
        closeSync(base);
      }
    } finally {
      closeSync(dir);
    }
  }

  #isChanged(
    {dir, base, path}: Pair & {base: number},
    name: Buffer,
    {stats, before}: {stats: BigIntStats; before: BigIntStats},
  ): boolean {
    const own = path.toString('latin1') + name.toString('latin1');
    const group = this.#links.get(own);
    if (group !== this.#baseLinks.get(own)) return true;
    const key = `${stats.dev}:${stats.ino}`;
    const known = group === undefined ? undefined : this.#decided.get(key);
    const isChanged = known ?? !isSameEntry({dir, name, stats}, {dir: base, name, stats: before});
    if (group !== undefined) this.#decided.set(key, isChanged);
    return isChanged;
  }
}

interface Entry {
  dir: number;
  name: Buffer;
  stats: BigIntStats;
}

function isSameEntry(one: Entry, other: Entry): boolean {
  const [a, b] = [one, other].map(({dir, name}) => procPath(dir, name)) as [Buffer, Buffer];
  const [now, before] = [one.stats, other.stats];
  const typeBits = 0o170000n;
  if ((now.mode & typeBits) !== (before.mode & typeBits)) return false;
  if (!isSameMetadata(metadataOf(now, a), metadataOf(before, b))) return false;
  if (now.isSymbolicLink()) return readlinkSync(a, 'latin1') === readlinkSync(b, 'latin1');
  if (!now.isFile()) return now.rdev === before.rdev;
  return now.size === before.size && hasSameFile(one, other);
}

function hasSameFile(one: Entry, other: Entry): boolean {
  const first = openBeneath(one.dir, one.name, fileFlags);
  try {
    const second = openBeneath(other.dir, other.name, fileFlags);
    try {
      return haveSameContents(first, second, Number(one.stats.size));
    } finally {
      closeSync(second);
    }
  } finally {
    closeSync(first);
  }
}

function isSameMetadata(one: ReturnType<typeof metadataOf>, other: ReturnType<typeof metadataOf>): boolean {
  return (
    one.mode === other.mode &&
    one.uid === other.uid &&
    one.gid === other.gid &&
    one.mtimeNs === other.mtimeNs &&
    one.xattrs.size === other.xattrs.size &&
    [...one.xattrs].every(([name, value]) => other.xattrs.get(name)?.equals(value) === true)
  );
}

function namesIn(dir: number): Buffer[] {
  return readdirSync(`/proc/self/fd/${dir}`, {encoding: 'buffer'}).sort(Buffer.compare);
}

function latin1(name: Buffer): string {
  return name.toString('latin1');
}

function lstatOrNothing(dir: number, name: Buffer): BigIntStats | undefined {
  return lstatSync(procPath(dir, name), {bigint: true, throwIfNoEntry: false});
}

/** Without owner or time, so that it is the same wherever it is made. */
function emptyFile(path: Buffer): Buffer {
  const metadata = {mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n, xattrs: new Map()};
  return encodeTarHeader({type: 'file', path, size: 0, ...metadata});
}

function reservedName(path: Buffer): ImgctlError {
  return new ImgctlError(
    'NotSupported',
    `${JSON.stringify(String(path))} cannot be in an incremental image: names that begin with ".wh." mean removal there`,
    {hint: 'rename it, or make a whole image, without -i'},
  );
}
