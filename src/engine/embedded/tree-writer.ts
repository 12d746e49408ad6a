/**
 * Turns the entries of an archive into files below one directory, and never touches anything outside it: every
 * name is resolved by the kernel beneath the top and without symbolic links (spec/engine.md §6). Directories get
 * their metadata at the end, so that modes do not hinder and times are not disturbed.
 */
import {closeSync, constants, lstatSync} from 'node:fs';
import {errnoOf, ImgctlError} from '../../errors.ts';
import {writeFully} from '../../sys/copy-file.ts';
import {duplicate} from '../../sys/descriptors.ts';
import {type Collected, entryKind} from '../../sys/entry-batch.ts';
import {
  linkAt,
  makeDirectoryAt,
  makeNodeAt,
  openAt,
  procPath,
  removeDirectoryAt,
  symlinkAt,
  unlinkAt,
} from '../../sys/files.ts';
import {Losses} from '../../sys/losses.ts';
import {type Place as AnyPlace, setMetadata} from '../../sys/metadata.ts';
import {addPieces} from './add-pieces.ts';
import {DirectoryCache, openForLink} from './directory-cache.ts';
import {entryParts, entryPath, parentOf, refused} from './entry-path.ts';
import {EntryQueue, type Queued, queuedOf} from './entry-queue.ts';
import {liftOsTree} from './lift.ts';
import {MadeDirectories} from './made-directories.ts';
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
}

type Place = AnyPlace & {name: Buffer};
const fileFlags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;

export class TreeWriter {
  readonly losses = new Losses();
  readonly #top: number;
  readonly #options: TreeWriterOptions;
  readonly #cache: DirectoryCache;
  readonly #trusted = new TrustedXattrs();
  readonly #directories: MadeDirectories;
  /** Undefined for those who cannot give files away, so that no file comes out whole in one call. */
  readonly #queue: EntryQueue | undefined;
  #entries = 0;

  /** `top` is an open directory, empty unless it has a base; the caller closes it. The umask must be 0. */
  constructor(top: number, options: TreeWriterOptions) {
    this.#top = top;
    this.#options = options;
    this.#cache = new DirectoryCache(top);
    this.#directories = new MadeDirectories(top, this.losses);
    if (!options.hasBase) this.#directories.make('');
    if (!options.hasBase && process.geteuid?.() === 0) {
      this.#queue = new EntryQueue(top, {
        remake: (left) => this.#remake(left),
        made: (path, metadata) => this.#directories.set(path, metadata),
      });
    }
  }

  /** Adds plain entries of an archive as `EntryBatch` does; where that stops, `add` goes on. */
  collectTar(bytes: Buffer, from: number): Collected {
    if (!this.#queue || !this.#trusted.isEmpty) return {count: 0, end: from};
    const collected = this.#queue.collectTar(bytes, from, this.#options.maxEntries - this.#entries);
    this.#entries += collected.count;
    return collected;
  }

  /** The promise, if there is one, has to be waited for before the next. */
  add(given: TreeEntry): Promise<void> | undefined {
    if (given.plain && this.takesPieces(given))
      return addPieces(given, (bytes, position) => this.addPiece(given, bytes, position));
    const {entry, path} = this.#begin(given);
    const item = this.#queue && queuedOf(entry, path);
    if (item) return item.path === item.other ? undefined : this.#queue?.put(item);
    return this.#addInSteps(entry, path);
  }

  /** Whether a file can be added piece by piece. */
  takesPieces({type, plain, xattrs, hasForeignAcl}: TreeEntry): boolean {
    const isPlain = type === 'file' && plain !== undefined && xattrs.size === 0 && !hasForeignAcl;
    return isPlain && this.#queue !== undefined;
  }

  /** Adds a file by its pieces, in order and all of them; the promise is as that of `add`. */
  addPiece(given: TreeEntry, bytes: Buffer, position: number): Promise<void> | undefined {
    const {entry, path} = position === 0 ? this.#begin(given) : {entry: given, path: entryPath(given.path)};
    if (path === '') return this.#addTop(entry);
    const isLast = position + bytes.length === entry.size;
    const inPieces = position === 0 ? entryKind.begin : isLast ? entryKind.end : entryKind.part;
    const kind = position === 0 && isLast ? entryKind.whole : inPieces;
    return this.#queue?.put({kind, path, entry, bytes, position});
  }

  #begin(given: TreeEntry): {entry: TreeEntry; path: string} {
    if (++this.#entries > this.#options.maxEntries) {
      throw new ImgctlError('LimitExceeded', `The archive has more than ${this.#options.maxEntries} entries`);
    }
    const path = entryPath(given.path);
    const xattrs = this.#trusted.takeFrom(given.xattrs, path);
    if (given.hasForeignAcl) this.losses.add('acl', String(given.path));
    return {entry: xattrs === given.xattrs ? given : {...given, xattrs}, path};
  }

  async #addInSteps(entry: TreeEntry, path: string): Promise<void> {
    if (this.#queue?.isEmpty === false) await this.#queue.drain();
    if (path === '') return this.#addTop(entry);
    const place = this.#placeOf(path);
    if (entry.type === 'directory') this.#addDirectory(entry, place, path);
    else if (entry.type === 'file') await this.#addFile(entry, place, path);
    else if (entry.type === 'hardlink') this.#addLink(entry, place, path);
    else this.#addSpecial(entry, place, path);
  }

  /** What the queue could not make. */
  #remake(left: Queued): void {
    if (left.entry) this.#remakeEntry(left, left.entry);
    else if (left.metadata) this.#directories.finishOne(left.path, left.metadata);
  }

  #remakeEntry(left: Queued, entry: TreeEntry): void {
    const [{path}, place] = [left, this.#placeOf(left.path)];
    if (entry.type === 'directory') this.#addDirectory(entry, place, path);
    else if (entry.type === 'hardlink') this.#addLink(entry, place, path);
    else if (entry.type === 'symlink') this.#addSpecial(entry, place, path);
    else this.#remakePiece(left, entry, place);
  }

  #remakePiece(left: Queued, entry: TreeEntry, place: Place): void {
    const {kind, path, bytes = Buffer.alloc(0), position = 0} = left;
    const isNew = kind === entryKind.whole || kind === entryKind.begin;
    const fd = isNew ? this.#openNew(entry, place, path) : (this.#queue?.releaseFile() ?? -1);
    const isWhole = kind === entryKind.whole || kind === entryKind.end;
    try {
      writeFully(fd, bytes, position);
      if (isWhole) setMetadata({...place, fd}, entry, this.losses);
      else this.#queue?.adoptFile(duplicate(fd), position + bytes.length);
    } finally {
      closeSync(fd);
    }
  }

  /** Makes directories that are missing. The descriptor is good until the next call. */
  #placeOf(path: string): Place {
    const dir = this.#cache.get(parentOf(path), this.#noteMade);
    const name = Buffer.from(path.slice(path.lastIndexOf('/') + 1), 'latin1');
    return {dir, name, label: Buffer.from(path, 'latin1').toString()};
  }

  readonly #noteMade = (path: string): void => this.#directories.make(path);

  /** For sources that use their chunks again: see `EntryQueue`. */
  async leaveChunk(): Promise<void> {
    await this.#queue?.leaveChunk();
  }

  /** Resolves when everything that was added is there; before directories are finished. */
  async settle(): Promise<void> {
    await this.#queue?.drain();
  }

  /** Once all is settled, finishes directories and moves a lone OS tree up; returns the name of the directory it was in. */
  async finish(): Promise<Buffer | undefined> {
    this.#cache.clear();
    const lifted = liftOsTree(this.#top);
    if (this.#queue) await this.#directories.finishBy(this.#queue, lifted?.name);
    else this.#directories.finish(lifted?.name);
    this.#trusted.write(lifted?.name);
    return lifted?.name;
  }

  /** Finishes directories as they are; returns the paths of those that the archive named. */
  finishDirectories(): ReadonlySet<string> {
    this.#cache.clear();
    this.#directories.finish();
    this.#trusted.write(undefined);
    return this.#directories.paths();
  }

  /** Forgets a directory, and all below it, that somebody else is about to remove. */
  forget(path: string): void {
    this.#cache.clear();
    this.#trusted.forget(path);
    this.#directories.forget(path);
  }

  /** Closes what was kept open, once nothing is made any more; needed after a failure too. */
  async close(): Promise<void> {
    this.#cache.clear();
    await this.#queue?.close();
  }

  #addTop(entry: TreeEntry): undefined {
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

  #openNew({place}: TreeEntry, {dir, name}: Place, path: string): number {
    return this.#create(dir, name, path, () => place?.(dir, name) ?? openAt(dir, name, fileFlags, 0o600));
  }

  #addLink(entry: TreeEntry, {dir, name}: Place, path: string): void {
    const parts = entryParts(entry.linkPath);
    if (parts.join('/') === path) return; // a link to itself changes nothing
    const target = Buffer.from(parts.pop() ?? '.', 'latin1');
    try {
      const from = openForLink(this.#top, parts.join('/'));
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
      this.#directories.remove(path);
      this.#cache.drop(path);
    }
  }
}
