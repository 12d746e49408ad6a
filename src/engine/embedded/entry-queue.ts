/**
 * Makes what a tree is mostly made of beside the reading of an archive, on another thread. Everything happens in the order
 * in which it was put here, so that nobody needs to know what is there already; what cannot be made is made step by step by
 * whoever owns the queue, at its turn.
 */
import {EntryBatch, EntryMaker, entryKind, type NewEntry, slotCount} from '../../sys/entry-batch.ts';
import type {Metadata} from '../../sys/metadata.ts';
import {parentOf, plainPath} from './entry-path.ts';
import type {TreeEntry} from './tree-entry.ts';

/** One batch is filled meanwhile. Each keeps a chunk of the archive, and sources keep no more of them (output-buffers.ts). */
const maxRunning = 2;

export interface Queued {
  kind: NewEntry['kind'];
  /** From the top; of `enter` and `finish` that of the directory. */
  path: string;
  /** All but these two have one. */
  entry?: TreeEntry;
  /** Of `finish`. */
  metadata?: Metadata;
  other?: string;
  /** Of a file; good until this is made. */
  bytes?: Buffer;
  /** Of these bytes in the file. */
  position?: number;
}

/** What it asks its owner. All calls come in the order of the entries, while the queue is waited for. */
export interface QueueOwner {
  /** Makes what failed, or throws. The file whose parts come is the owner's to release and to adopt. */
  remake(left: Queued): void;
  /** A directory is there. */
  made(path: string, entry: TreeEntry): void;
}

/** What can be put of an entry that is no file; undefined for one that has to be made in steps. */
export function queuedOf(entry: TreeEntry, path: string): Queued | undefined {
  const {type, linkPath, xattrs, hasForeignAcl} = entry;
  if (path === '') return undefined;
  if (type === 'directory') return {kind: entryKind.directory, path, entry};
  if (xattrs.size > 0 || hasForeignAcl || linkPath.length === 0) return undefined;
  if (type === 'symlink') {
    return linkPath.includes(0)
      ? undefined
      : {kind: entryKind.symlink, path, entry, other: linkPath.toString('latin1')};
  }
  const other = type === 'hardlink' ? plainPath(linkPath) : undefined;
  return other ? {kind: entryKind.link, path, entry, other} : undefined;
}

interface Filled {
  batch: EntryBatch;
  queued: Queued[];
}

export class EntryQueue {
  readonly #owner: QueueOwner;
  readonly #maker: EntryMaker;
  /** Directories the maker will have open when it comes to what is put next, the longest unused first. */
  readonly #slots = new Map<string, number>();
  readonly #running: Promise<void>[] = [];
  readonly #free: Filled[] = [];
  #filling: Filled = {batch: new EntryBatch(), queued: []};
  #last: Promise<void> = Promise.resolve();

  constructor(top: number, owner: QueueOwner) {
    this.#maker = new EntryMaker(top);
    this.#owner = owner;
  }

  /** The promise, if there is one, must be waited for before anything else is put. */
  put(item: Queued): Promise<void> | undefined {
    const namesLength = 2 * item.path.length + (item.other?.length ?? 0);
    if (this.#filling.batch.hasRoom(namesLength, item.bytes)) return this.#push(item);
    this.#start();
    if (this.#running.length <= maxRunning) return this.#push(item);
    return this.#finishOldest().then(() => this.#push(item));
  }

  /**
   * To be waited for before another chunk of the archive is asked for, however much is skipped: all that lies in chunks before
   * the last two is made then.
   */
  async leaveChunk(): Promise<void> {
    this.#start();
    while (this.#running.length > maxRunning) await this.#finishOldest();
  }

  /** Resolves when everything is there. */
  async drain(): Promise<void> {
    if (this.#filling.batch.count > 0) this.#start();
    while (this.#running.length > 0) await this.#finishOldest();
  }

  get isEmpty(): boolean {
    return this.#running.length === 0 && this.#filling.batch.count === 0;
  }

  adoptFile(fd: number, position: number): void {
    this.#maker.adoptFile(fd, position);
  }

  releaseFile(): number {
    return this.#maker.releaseFile();
  }

  /** Resolves when nothing is made any more, and nothing is open; what was put last may be missing. */
  async close(): Promise<void> {
    await this.#last.catch(() => undefined);
    this.#maker.close();
  }

  #push(item: Queued): undefined {
    const {kind, path, entry, metadata = entry, other, bytes} = item;
    const parent = kind === entryKind.finish ? '' : parentOf(path);
    const slot = kind === entryKind.part || kind === entryKind.end ? slotCount : this.#slotOf(parent);
    const name = parent === '' ? path : path.slice(parent.length + 1);
    this.#add(item, {
      kind,
      slot,
      name,
      ...(other !== undefined && {other}),
      ...(metadata && {metadata}),
      ...(bytes && {bytes}),
    });
  }

  #slotOf(path: string): number {
    if (path === '') return slotCount;
    let slot = this.#slots.get(path);
    if (slot === undefined) {
      slot = this.#slots.size < slotCount ? this.#slots.size : this.#oldestSlot();
      this.#add({kind: entryKind.enter, path}, {kind: entryKind.enter, slot, name: path});
    } else {
      this.#slots.delete(path);
    }
    this.#slots.set(path, slot);
    return slot;
  }

  #oldestSlot(): number {
    for (const [path, slot] of this.#slots) {
      this.#slots.delete(path);
      return slot;
    }
    throw new Error('No directory is open');
  }

  #add(item: Queued, entry: NewEntry): void {
    this.#filling.batch.add(entry);
    this.#filling.queued.push(item);
  }

  /** Also where there is nothing to start: then it waits for what was started before. */
  #start(): void {
    const filled = this.#filling;
    if (filled.batch.count > 0) {
      this.#last = this.#last.then(() => this.#make(filled));
      this.#last.catch(() => undefined); // it is awaited below
      this.#filling = this.#free.pop() ?? {batch: new EntryBatch(), queued: []};
    }
    this.#running.push(this.#last);
  }

  async #finishOldest(): Promise<void> {
    await this.#running.shift();
  }

  async #make(filled: Filled): Promise<void> {
    const {batch, queued} = filled;
    for (let from = 0; from < queued.length; from++) {
      const end = await this.#maker.make(batch, from);
      this.#tellMade(queued, from, end);
      const left = queued[end];
      if (left) await this.#remake(left, batch, end);
      from = end;
    }
    batch.clear();
    filled.queued = [];
    this.#free.push(filled);
  }

  #tellMade(queued: readonly Queued[], from: number, end: number): void {
    for (let index = from; index < end; index++) {
      const {kind, path, entry} = queued[index] as Queued;
      if (kind === entryKind.directory && entry) this.#owner.made(path, entry);
    }
  }

  /** A directory that cannot be entered may be there after that; where it is not, all that lies in it fails too. */
  async #remake(left: Queued, batch: EntryBatch, index: number): Promise<void> {
    this.#owner.remake(left);
    if (left.kind === entryKind.enter) await this.#maker.makeOne(batch, index);
  }
}
