/**
 * Turns the entries of an archive into files below one directory, and never touches anything outside it: every
 * name is resolved by the kernel beneath the top and without symbolic links (spec/engine.md §6). Directories get
 * their metadata at the end, so that modes do not hinder and times are not disturbed.
 */
import {closeSync, constants, lstatSync} from 'node:fs';
import {errnoOf, ImgctlError} from '../../errors.ts';
import {writeFully} from '../../sys/copy-file.ts';
import type {NewFile} from '../../sys/file-batch.ts';
import {
  linkAt,
  makeDirectoryAt,
  makeNodeAt,
  openAt,
  openBeneath,
  procPath,
  removeDirectoryAt,
  symlinkAt,
  unlinkAt,
} from '../../sys/files.ts';
import {Losses} from '../../sys/losses.ts';
import {type Place as AnyPlace, type Metadata, setMetadata} from '../../sys/metadata.ts';
import {DirectoryCache} from './directory-cache.ts';
import {entryParts, parentOf, refused} from './entry-path.ts';
import {FileMaker, type LeftOver} from './file-maker.ts';
import {liftOsTree} from './lift.ts';
import type {TreeEntry} from './tree-entry.ts';
import {TrustedXattrs} from './trusted-xattrs.ts';
import {devicesForbidden, writeBody} from './write-body.ts';

export interface TreeWriterOptions {
  /** An unpacked file system without an end is refused with `LimitExceeded`. */
  maxEntries: number;
  /** Device nodes are required: false for users who cannot make them. */
  needsDevices: boolean;
  /** The tree holds what the archive is put over; directories that the archive does not name stay as they are. */
  hasBase?: boolean;
  /** Batches of small files that are made at a time. */
  batches?: number;
}

type Place = AnyPlace & {name: Buffer};

const fileFlags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** chown leaves an owner of -1 as it is: whoever runs this. */
const madeUp = (): Metadata => ({
  mode: 0o755,
  uid: -1,
  gid: -1,
  mtimeNs: BigInt(Date.now()) * 1_000_000n,
  xattrs: new Map(),
});

export class TreeWriter {
  readonly losses = new Losses();
  readonly #top: number;
  readonly #options: TreeWriterOptions;
  readonly #cache: DirectoryCache;
  readonly #trusted = new TrustedXattrs();
  /** What directories get at the end, by path; '' is the top. */
  readonly #directories = new Map<string, Metadata>([['', madeUp()]]);
  /** Undefined for those who cannot give files away, so that no file comes out whole in one call. */
  readonly #maker: FileMaker<TreeEntry> | undefined;
  #entries = 0;

  /** `top` is an open directory, empty unless it has a base; the caller closes it. The umask must be 0. */
  constructor(top: number, options: TreeWriterOptions) {
    this.#top = top;
    this.#options = options;
    this.#cache = new DirectoryCache(top);
    if (options.hasBase) this.#directories.clear();
    else if (process.geteuid?.() === 0)
      this.#maker = new FileMaker((left) => this.#addSmall(left), options.batches);
  }

  async add(given: TreeEntry): Promise<void> {
    if (++this.#entries > this.#options.maxEntries) {
      throw new ImgctlError('LimitExceeded', `The archive has more than ${this.#options.maxEntries} entries`);
    }
    const path = entryParts(given.path).join('/');
    const xattrs = this.#trusted.takeFrom(given.xattrs, path);
    const entry = xattrs === given.xattrs ? given : {...given, xattrs};
    if (entry.hasForeignAcl) this.losses.add('acl', String(entry.path));
    if (path === '') return this.#addTop(entry);
    if (this.#disturbs(entry, path)) await this.settle();
    const small = entry.type === 'file' ? await entry.small?.() : undefined;
    if (small && entry.xattrs.size === 0 && this.#maker) {
      await this.#maker.makeRoom(small.length);
      return this.#maker.add(path, this.#newFile(path), small, entry);
    }
    const place = this.#placeOf(path);
    if (small) this.#addSmall({entry, path, bytes: small});
    else if (entry.type === 'directory') this.#addDirectory(entry, place, path);
    else if (entry.type === 'file') await this.#addFile(entry, place, path);
    else if (entry.type === 'hardlink') this.#addLink(entry, place, path);
    else this.#addSpecial(entry, place, path);
  }

  /** Whether an entry has to do with files that may not be there yet. */
  #disturbs({type}: TreeEntry, path: string): boolean {
    if (!this.#maker) return false;
    const replacesDirectory = type !== 'directory' && this.#directories.has(path);
    return type === 'hardlink' || replacesDirectory || this.#maker.isPending(path);
  }

  /** Makes directories that are missing. The descriptor is good until the next call. */
  #placeOf(path: string): Place {
    const {dir, name} = this.#newFile(path);
    return {dir, name, label: Buffer.from(path, 'latin1').toString()};
  }

  /** The same with the path of the directory. */
  #newFile(path: string): NewFile {
    const parent = parentOf(path);
    const dir = this.#cache.get(parent, this.#noteMade);
    return {dir, path: parent, name: Buffer.from(path.slice(path.lastIndexOf('/') + 1), 'latin1')};
  }

  readonly #noteMade = (path: string): void => void this.#directories.set(path, madeUp());

  /** Resolves when everything that was added is there; before directories are finished. */
  async settle(): Promise<void> {
    await this.#maker?.drain();
  }

  /** Finishes directories and moves a lone OS tree up; returns the name of the directory it was in. */
  finish(): Buffer | undefined {
    this.#cache.clear();
    const lifted = liftOsTree(this.#top);
    this.#setDirectories(this.#withoutLifted(lifted?.name));
    this.#trusted.write(lifted?.name);
    return lifted?.name;
  }

  /** Finishes directories as they are; returns the paths of those that the archive named. */
  finishDirectories(): ReadonlySet<string> {
    this.#cache.clear();
    this.#setDirectories(this.#directories);
    this.#trusted.write(undefined);
    return new Set(this.#directories.keys());
  }

  /** Forgets a directory, and all below it, that somebody else is about to remove. */
  forget(path: string): void {
    this.#cache.clear();
    this.#trusted.forget(path);
    for (const known of this.#directories.keys())
      if (known === path || known.startsWith(`${path}/`)) this.#directories.delete(known);
  }

  #setDirectories(directories: ReadonlyMap<string, Metadata>): void {
    // What lies in a directory comes before it.
    for (const path of [...directories.keys()].sort().reverse()) {
      const metadata = directories.get(path) ?? madeUp();
      const fd = openBeneath(this.#top, path === '' ? '.' : Buffer.from(path, 'latin1'), directoryFlags);
      try {
        const label = path === '' ? '.' : Buffer.from(path, 'latin1').toString();
        setMetadata({dir: fd, name: '.', fd, label}, metadata, this.losses);
      } finally {
        closeSync(fd);
      }
    }
  }

  /** Closes what was kept open; needed after a failure too. */
  close(): void {
    this.#cache.clear();
  }

  #withoutLifted(lifted: Buffer | undefined): Map<string, Metadata> {
    if (!lifted) return this.#directories;
    const old = lifted.toString('latin1');
    const moved = new Map<string, Metadata>();
    for (const [path, metadata] of this.#directories) {
      if (path === old) moved.set('', metadata);
      else if (path !== '') moved.set(path.slice(old.length + 1), metadata);
    }
    return moved;
  }

  #addTop(entry: TreeEntry): void {
    if (entry.type !== 'directory') throw refused(entry.path, 'the top is not a directory');
    this.#directories.set('', entry);
  }

  #addDirectory(entry: TreeEntry, {dir, name}: Place, path: string): void {
    try {
      makeDirectoryAt(dir, name, 0o700);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      const isThere = lstatSync(procPath(dir, name), {throwIfNoEntry: false})?.isDirectory() ?? false;
      if (!isThere) this.#create(dir, name, path, () => makeDirectoryAt(dir, name, 0o700));
    }
    this.#directories.set(path, entry);
  }

  async #addFile(entry: TreeEntry, place: Place, path: string): Promise<void> {
    const fd = this.#openNew(entry, place, path);
    try {
      if (entry.body) await writeBody(fd, entry.body(), entry.size);
      setMetadata({...place, fd}, entry, this.losses);
    } finally {
      closeSync(fd);
    }
  }

  #addSmall({entry, path, bytes}: LeftOver<TreeEntry>): void {
    const place = this.#placeOf(path);
    const fd = this.#openNew(entry, place, path);
    try {
      writeFully(fd, bytes, 0);
      setMetadata({...place, fd}, entry, this.losses);
    } finally {
      closeSync(fd);
    }
  }

  #openNew({place}: TreeEntry, {dir, name}: Place, path: string): number {
    return this.#create(dir, name, path, () => place?.(dir, name) ?? openAt(dir, name, fileFlags, 0o600));
  }

  #addLink(entry: TreeEntry, {dir, name}: Place, path: string): void {
    const parts = entryParts(entry.linkPath);
    if (parts.join('/') === path) return; // a link to itself changes nothing
    const target = Buffer.from(parts.pop() ?? '.', 'latin1');
    try {
      const from = this.#openForLink(parts.join('/'));
      try {
        this.#create(dir, name, path, () => linkAt(from, target, dir, name));
      } finally {
        closeSync(from);
      }
    } catch (error) {
      const code = errnoOf(error);
      if (code === 'ENOENT') throw refused(entry.path, 'it is a hard link to nothing that came before it');
      if (code === 'EPERM' || code === 'EXDEV') throw refused(entry.path, 'it is a hard link to a directory');
      throw error;
    }
  }

  /** Not from the cache, which may close the directory of the new name meanwhile. */
  #openForLink(path: string): number {
    try {
      return openBeneath(this.#top, path === '' ? '.' : Buffer.from(path, 'latin1'), directoryFlags);
    } catch (error) {
      if (errnoOf(error) === 'ELOOP') throw refused(path, 'a hard link leads through a symbolic link');
      if (errnoOf(error) === 'ENOTDIR') throw refused(path, 'a hard link leads through a file');
      throw error;
    }
  }

  #addSpecial(entry: TreeEntry, place: Place, path: string): void {
    const [{dir, name}, {type, major, minor}] = [place, entry];
    if (type === 'symlink') {
      if (entry.linkPath.length === 0 || entry.linkPath.includes(0))
        throw refused(entry.path, 'it points to no name');
      this.#create(dir, name, path, () => symlinkAt(entry.linkPath, dir, name));
    } else if (type === 'char' || type === 'block' || type === 'fifo' || type === 'socket') {
      try {
        this.#create(dir, name, path, () => makeNodeAt(dir, name, {type, mode: 0o600, major, minor}));
      } catch (error) {
        if (errnoOf(error) !== 'EPERM') throw error;
        if (this.#options.needsDevices) throw devicesForbidden(entry.path, error);
        this.losses.add('device', place.label);
        return;
      }
    }
    setMetadata({...place, isSymlink: type === 'symlink'}, entry, this.losses);
  }

  /** Runs a call that makes a name; an older entry of the same name gives way. */
  #create<Result>(dir: number, name: Buffer, path: string, make: () => Result): Result {
    try {
      return make();
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    this.#removeOld(dir, name, path);
    return make();
  }

  #removeOld(dir: number, name: Buffer, path: string): void {
    try {
      unlinkAt(dir, name);
    } catch (error) {
      if (errnoOf(error) !== 'EISDIR') throw error;
      try {
        removeDirectoryAt(dir, name);
      } catch (cause) {
        if (errnoOf(cause) === 'ENOTEMPTY')
          throw refused(path, 'it would replace a directory that is not empty');
        throw cause;
      }
      this.#directories.delete(path);
      this.#cache.drop(path);
    }
  }
}
