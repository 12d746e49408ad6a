/**
 * Makes what a tree is mostly made of beside the reading of an archive, on another thread. Everything happens in the order
 * in which it was put here, so that nobody needs to know what is there already; what cannot be made is made step by step by
 * whoever owns the queue, at its turn.
 */
import {type Collected, EntryBatch, EntryMaker, entryKind, type NewEntry} from '../../sys/entry-batch.ts';
import type {Metadata} from '../../sys/metadata.ts';
import {plainPath} from './entry-path.ts';
import type {TreeEntry} from './tree-entry.ts';

/** One batch is filled meanwhile. Each keeps a chunk of the archive, and sources keep no more of them (output-buffers.ts). */
const maxRunning = 2;

export interface Queued extends NewEntry {
  /** That of `finish` alone has none. */
  entry?: TreeEntry;
  /** Of these bytes in the file. */
  position?: number;
}

const collectedTypes: Partial<Record<NewEntry['kind'], TreeEntry['type']>> = {
  [entryKind.directory]: 'directory',
  [entryKind.whole]: 'file',
  [entryKind.symlink]: 'symlink',
};

/** What it asks its owner. All calls come in the order of the entries, while the queue is waited for. */
export interface QueueOwner {
  /** Makes what failed, or throws. The file whose parts come is the owner's to release and to adopt. */
  remake(left: Queued): void;
  /** A directory is there. */
  made(path: string, metadata: Metadata): void;
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
  /** By their indexes in the batch; what was collected there stands only in it. */
  queued: Map<number, Queued>;
}

const nothing = (): Filled => ({batch: new EntryBatch(), queued: new Map()});

export class EntryQueue {
  readonly #owner: QueueOwner;
  readonly #maker: EntryMaker;
  readonly #running: Promise<void>[] = [];
  readonly #free: Filled[] = [];
  #filling = nothing();
  #last: Promise<void> = Promise.resolve();

  constructor(top: number, owner: QueueOwner) {
    this.#maker = new EntryMaker(top);
    this.#owner = owner;
  }

  /** The promise, if there is one, must be waited for before anything else is put. */
  put(item: Queued): Promise<void> | undefined {
    const namesLength = item.path.length + (item.other?.length ?? 0);
    if (this.#filling.batch.hasRoom(namesLength, item.bytes)) return this.#push(item);
    this.#start();
    if (this.#running.length <= maxRunning) return this.#push(item);
    return this.#finishOldest().then(() => this.#push(item));
  }

  /** Puts plain entries of an archive that lie in these bytes: see `EntryBatch`. `put` goes on where it ends, and makes room. */
  collectTar(bytes: Buffer, from: number, most: number): Collected {
    return this.#filling.batch.collectTar(bytes, from, most);
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
    const {batch, queued} = this.#filling;
    const {entry, metadata = entry} = item;
    queued.set(batch.count, item);
    batch.add(metadata ? {...item, metadata} : item);
  }

  /** Also where there is nothing to start: then it waits for what was started before. */
  #start(): void {
    const filled = this.#filling;
    if (filled.batch.count > 0) {
      this.#last = this.#last.then(() => this.#make(filled));
      this.#last.catch(() => undefined); // it is awaited below
      this.#filling = this.#free.pop() ?? nothing();
    }
    this.#running.push(this.#last);
  }

  async #finishOldest(): Promise<void> {
    await this.#running.shift();
  }

  async #make(filled: Filled): Promise<void> {
    const {batch, queued} = filled;
    for (let from = 0; from < batch.count; from++) {
      const end = await this.#maker.make(batch, from);
      this.#tellMade(filled, from, end);
      if (end < batch.count) this.#owner.remake(queued.get(end) ?? queuedAt(batch, end));
      from = end;
    }
    batch.clear();
    queued.clear();
    this.#free.push(filled);
  }

  #tellMade({batch, queued}: Filled, from: number, end: number): void {
    for (let index = from; index < end; index++) {
      if (batch.kindOf(index) !== entryKind.directory) continue;
      const {path, metadata} = batch.entryAt(index);
      this.#owner.made(path, queued.get(index)?.entry ?? metadata);
    }
  }
}

/** Of what was collected. */
function queuedAt(batch: EntryBatch, index: number): Queued {
  const collected = batch.entryAt(index);
  const {kind, path, other = '', metadata, bytes} = collected;
  const type = collectedTypes[kind];
  if (!type) throw new Error(`An entry of kind ${kind} was not queued`);
  const entry: TreeEntry = {
    ...metadata,
    type,
    path: Buffer.from(path, 'latin1'),
    linkPath: Buffer.from(other, 'latin1'),
    size: bytes?.length ?? 0,
    major: 0,
    minor: 0,
    hasForeignAcl: false,
  };
  return {...collected, entry, position: 0};
}
