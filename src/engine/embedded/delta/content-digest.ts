/**
 * The digest of an image's contents, by which an incremental image knows its origin (design.md §5). It does not see what
 * may differ between two imports of one file: holes, times of directories (those an archive does not name are made
 * up), and attributes that belong to the host.
 */
import {createHash, type Hash} from 'node:crypto';
import {type BigIntStats, closeSync, fstatSync, lstatSync, readdirSync, readlinkSync} from 'node:fs';
import {openBeneath, procPath} from '../../../sys/files.ts';
import {StepsBehind} from '../../../sys/steps-behind.ts';
import {StreamDigest} from '../../../sys/stream-digest.ts';
import {deviceOf, directoryFlags, fileFlags, metadataOf} from '../export/tree-entry.ts';
import {blockBytes, hashContents} from './contents.ts';

const ofTheHost = /^(?:trusted\.|security\.selinux$)/;

/** `sha256:HEX` of a disk. */
export async function digestDisk(fd: number): Promise<string> {
  return await new DiskDigest(fd).finish(fstatSync(fd).size);
}

/** The same of a disk that is still being written; its size comes last. */
export class DiskDigest {
  readonly #fd: number;
  readonly #digest = new StreamDigest('sha256');
  readonly #steps: StepsBehind | undefined;

  /** Open for reading too, until `finish` or `settle`. */
  constructor(fd: number) {
    this.#fd = fd;
    const digest = this.#digest;
    if (digest.takesContents)
      this.#steps = new StepsBehind((from, to) => digest.updateContents(fd, from, to));
  }

  /** Everything before `position` has been written. */
  reached(position: number): void {
    this.#steps?.reached(position - (position % blockBytes));
  }

  /** All of it has been written. Call once. */
  async finish(size: number): Promise<string> {
    if (this.#steps) await this.#steps.finish(size);
    else hashContents(this.#digest, this.#fd, size);
    await this.#digest.update(Buffer.from(`disk ${size}\n`));
    return `sha256:${this.#digest.hex()}`;
  }

  /** Resolves when nothing is being read. */
  async settle(): Promise<void> {
    await this.#steps?.settle();
  }
}

/** `sha256:HEX` of a tree, by its open top. */
export function digestTree(top: number): string {
  const hash = createHash('sha256');
  const linked = new Map<string, string>();
  const visit = (dir: number, path: string): void => {
    hashEntry(hash, 'directory', path, fstatSync(dir, {bigint: true}), dir);
    const names = readdirSync(`/proc/self/fd/${dir}`, {encoding: 'buffer'}).sort(Buffer.compare);
    for (const name of names) {
      const file = procPath(dir, name);
      const stats = lstatSync(file, {bigint: true});
      const own = `${path}/${name.toString('latin1')}`;
      if (stats.isDirectory()) withOpen(openBeneath(dir, name, directoryFlags), (fd) => visit(fd, own));
      else hashLeaf(hash, {dir, name, path: own, stats, linked});
    }
  };
  visit(top, '.');
  return textOf(hash);
}

interface Leaf {
  dir: number;
  name: Buffer;
  path: string;
  stats: BigIntStats;
  /** First names of files that have several, by device and inode. */
  linked: Map<string, string>;
}

function hashLeaf(hash: Hash, {dir, name, path, stats, linked}: Leaf): void {
  const file = procPath(dir, name);
  if (stats.isSocket()) return;
  const key = `${stats.dev}:${stats.ino}`;
  const first = stats.nlink > 1n ? linked.get(key) : undefined;
  if (first !== undefined) {
    line(hash, ['hardlink', path, first]);
    return;
  }
  if (stats.nlink > 1n) linked.set(key, path);
  if (stats.isSymbolicLink()) {
    hashEntry(hash, `symlink ${readlinkSync(file, 'latin1')}`, path, stats, file);
  } else if (stats.isFile()) {
    hashEntry(hash, `file ${stats.size}`, path, stats, file);
    withOpen(openBeneath(dir, name, fileFlags), (fd) => hashContents(hash, fd, Number(stats.size)));
  } else {
    const {major, minor} = deviceOf(stats);
    const type = stats.isFIFO() ? 'fifo' : stats.isBlockDevice() ? 'block' : 'char';
    hashEntry(hash, `${type} ${major}:${minor}`, path, stats, file);
  }
}

function hashEntry(hash: Hash, what: string, path: string, stats: BigIntStats, file: number | Buffer): void {
  const {mode, uid, gid, mtimeNs, xattrs} = metadataOf(stats, file);
  const kept = [...xattrs].filter(([name]) => !ofTheHost.test(name)).sort(([a], [b]) => (a < b ? -1 : 1));
  const attributes = kept.map(([name, value]) => `${name}=${value.toString('hex')}`);
  const time = stats.isDirectory() ? '' : String(mtimeNs);
  line(hash, [what, path, String(mode), `${uid}:${gid}`, time, ...attributes]);
}

/** One line of JSON, in which no name can end a field. */
function line(hash: Hash, fields: readonly string[]): void {
  hash.update(`${JSON.stringify(fields)}\n`);
}

function textOf(hash: Hash): string {
  return `sha256:${hash.digest('hex')}`;
}

function withOpen(fd: number, use: (fd: number) => void): void {
  try {
    use(fd);
  } finally {
    closeSync(fd);
  }
}
