/**
 * The files of a file system as a tree (spec/zfs-send-stream.md §6), once its stream was applied to its end. The walk
 * is over data from outside: names that lead elsewhere, circles and objects of two places are refused here, and
 * nothing else is decided about them.
 */
import {ImgctlError} from '../../errors.ts';
import type {Dataset} from './dataset.ts';
import {type Inode, readInode} from './inode.ts';
import {getObject, zapEntries, zapNumbers} from './objects-view.ts';
import {SystemAttributes} from './system-attributes.ts';
import {type ReadContents, XattrReader} from './xattrs.ts';
import {invalidStream} from './zfs-errors.ts';

export type FileType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo' | 'socket';

export interface FileEntry {
  type: FileType;
  /** From the top, which has no name; no part of it is special. */
  path: Buffer;
  /** Target of a symbolic link; path of the first name of a hard link, which came before. */
  linkPath: Buffer;
  /** The twelve permission bits. */
  mode: number;
  uid: number;
  gid: number;
  mtimeNs: bigint;
  size: number;
  major: number;
  minor: number;
  xattrs: Map<string, Buffer>;
  hasAcl: boolean;
  hasForeignOwner: boolean;
  /** Whose contents these are. */
  object: number;
}

const masterObject = 1;
const longestName = 255;
const deepest = 128;
const longestTarget = 4095;
const noBytes = Buffer.alloc(0);

const types = new Map<number, FileType>([
  [0o01, 'fifo'],
  [0o02, 'char'],
  [0o04, 'directory'],
  [0o06, 'block'],
  [0o10, 'file'],
  [0o12, 'symlink'],
  [0o14, 'socket'],
]);

interface Name {
  name: Buffer;
  object: number;
}

export class FileTree {
  readonly #dataset: Dataset;
  readonly #xattrs: XattrReader;
  /** As of the last walk, because streams add layouts. */
  #attributes: SystemAttributes | undefined;
  readonly #readContents: ReadContents;
  /** Of files that have several names, the first. */
  readonly #firstPaths = new Map<number, Buffer>();

  constructor(dataset: Dataset, readContents: ReadContents) {
    this.#dataset = dataset;
    this.#readContents = readContents;
    this.#xattrs = new XattrReader(dataset, readContents);
  }

  /** The top, then everything below, names in the order of their bytes. Afterwards objects know if they were reached. */
  *entries(): Generator<FileEntry> {
    for (const object of this.#dataset.objects.values()) object.isReached = false;
    this.#firstPaths.clear();
    this.#attributes = SystemAttributes.read(this.#dataset);
    const top = zapNumbers(this.#dataset, masterObject, 'the master node').get('ROOT');
    if (top === undefined) throw invalidStream('a file system has no top directory');
    const entry = this.#entry(top, noBytes);
    if (entry.type !== 'directory') throw invalidStream('the top of the file system is not a directory');
    yield entry;
    const open = [{path: noBytes as Buffer, names: this.#names(top)}];
    for (let directory = open.at(-1); directory; directory = open.at(-1)) {
      const next = directory.names.pop();
      if (!next) {
        open.pop();
        continue;
      }
      const child = this.#entry(next.object, joined(directory.path, next.name));
      yield child;
      if (child.type !== 'directory') continue;
      if (open.length >= deepest) throw tooDeep();
      open.push({path: child.path, names: this.#names(next.object)});
    }
  }

  /** Size of a plain file, as of the last walk; 0 of anything else. */
  sizeOf(object: number): number {
    const {mode, size} = readInode(this.#dataset, object, this.#attributes);
    return types.get(mode >>> 12) === 'file' ? size : 0;
  }

  /** The last first. */
  #names(directory: number): Name[] {
    const names: Name[] = [];
    for (const {name, value} of zapEntries(this.#dataset, directory, 'a directory')) {
      if (value.length !== 8)
        throw invalidStream(`directory object ${directory} has an entry without object`);
      checkName(name);
      names.push({name, object: value.readUIntBE(2, 6)});
    }
    names.sort((a, b) => Buffer.compare(b.name, a.name));
    for (const [index, {name}] of names.entries()) {
      if (names[index + 1]?.name.equals(name)) throw refusedName(name, 'it is there twice');
    }
    return names;
  }

  #entry(number: number, path: Buffer): FileEntry {
    const object = getObject(this.#dataset, number, `what ${JSON.stringify(path.toString())} names`);
    const inode = readInode(this.#dataset, number, this.#attributes);
    const type = types.get(inode.mode >>> 12);
    if (!type) throw invalidStream(`object ${number} has a mode of ${inode.mode.toString(8)}`);
    const common = {...metadataOf(inode), type, path, object: number};
    if (object.isReached) {
      const first = this.#firstPaths.get(number);
      if (!first) throw invalidStream(`object ${number} has more names than links`);
      return {...common, type: 'hardlink', linkPath: first, size: 0, xattrs: new Map()};
    }
    object.isReached = true;
    if (type !== 'directory' && inode.links > 1) this.#firstPaths.set(number, path);
    const linkPath = type === 'symlink' ? this.#target(number, inode) : noBytes;
    const size = type === 'file' ? inode.size : 0;
    return {...common, linkPath, size, xattrs: this.#xattrs.read(number, inode, this.#attributes)};
  }

  #target(number: number, {target, size}: Inode): Buffer {
    if (size > longestTarget) throw invalidStream(`object ${number} is a symbolic link of ${size} bytes`);
    return Buffer.from(target?.subarray(0, size) ?? this.#readContents(number, size));
  }
}

function metadataOf(inode: Inode) {
  const {mode, uid, gid, mtimeNs, major, minor, hasAcl, hasForeignOwner} = inode;
  return {mode: mode & 0o7777, uid, gid, mtimeNs, major, minor, hasAcl, hasForeignOwner};
}

function joined(directory: Buffer, name: Buffer): Buffer {
  return directory.length === 0 ? name : Buffer.concat([directory, Buffer.from('/'), name]);
}

function checkName(name: Buffer): void {
  const isSpecial = name.length === 0 || name.equals(Buffer.from('.')) || name.equals(Buffer.from('..'));
  if (isSpecial) throw refusedName(name, 'it is no name');
  if (name.includes(0x2f) || name.includes(0))
    throw refusedName(name, 'it has a character that no name can have');
  if (name.length > longestName) throw refusedName(name, 'it is too long');
}

function refusedName(name: Buffer, reason: string): ImgctlError {
  return invalidStream(`a directory has an entry ${JSON.stringify(name.toString())}, and ${reason}`);
}

function tooDeep(): ImgctlError {
  return new ImgctlError(
    'LimitExceeded',
    `The ZFS stream is refused: it has more than ${deepest} levels of directories`,
  );
}
