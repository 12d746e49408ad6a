/** Entries of a tree, collected and then made on another thread in their order. Contents are not copied. */
import type {Metadata} from './metadata.ts';
import {type EntryMakerHandle, native} from './native.ts';

const maxEntries = 1024;
/** struct entry of entry-batch.c. */
const recordBytes = 48;
const recordWords = recordBytes / 4;
const namesBytes = 64 * 1024;
/**
 * Directories that a maker keeps open; as many again as the number stand for the top. Few, because the kernel makes the table of
 * descriptors larger at the 64th, and a process with threads waits for that: 0.17 s of the 1.1 that a tree takes.
 */
export const slotCount = 16;
const noContents = Buffer.alloc(0);

/** As entry-batch.c numbers them. */
export const entryKind = {
  enter: 0,
  directory: 1,
  whole: 2,
  symlink: 3,
  link: 4,
  begin: 5,
  part: 6,
  end: 7,
  finish: 8,
} as const;

export interface NewEntry {
  kind: (typeof entryKind)[keyof typeof entryKind];
  /** Which of the open directories it is made in, or that is opened. */
  slot: number;
  /** Its name (latin1), without NUL; of `enter` and `finish` the path. */
  name: string;
  /** What it links to: a symbolic link's text, or the path of the other name. */
  other?: string;
  metadata?: Metadata;
  bytes?: Buffer;
}

/** What shares a buffer goes into one batch. Attributes are not for it. */
export class EntryBatch {
  readonly table = Buffer.from(new ArrayBuffer(maxEntries * recordBytes));
  readonly names = Buffer.allocUnsafeSlow(namesBytes);
  contents: Buffer = noContents;
  count = 0;
  readonly #words = new Uint32Array(this.table.buffer);
  readonly #times = new BigInt64Array(this.table.buffer);
  #namesEnd = 0;

  /** Whether two entries with names of that length go with those that are there. */
  hasRoom(namesLength: number, bytes: Buffer | undefined): boolean {
    if (this.count + 2 > maxEntries || this.#namesEnd + namesLength + 4 > namesBytes) return false;
    return !bytes?.length || this.contents === noContents || this.contents.buffer === bytes.buffer;
  }

  /** There must be room. */
  add({kind, slot, name, other, metadata, bytes}: NewEntry): void {
    const at = this.count * recordWords;
    const words = this.#words;
    this.#times[at / 2] = metadata?.mtimeNs ?? 0n;
    words[at + 2] = kind;
    words[at + 3] = slot;
    const nameAt = this.#addName(name);
    words[at + 4] = nameAt;
    words[at + 5] = other === undefined ? nameAt : this.#addName(other);
    words[at + 6] = bytes?.length ? bytes.byteOffset : 0;
    words[at + 7] = bytes?.length ?? 0;
    words[at + 8] = metadata?.uid ?? 0;
    words[at + 9] = metadata?.gid ?? 0;
    words[at + 10] = metadata?.mode ?? 0;
    words[at + 11] = 0;
    if (bytes?.length && this.contents === noContents) this.contents = Buffer.from(bytes.buffer);
    this.count += 1;
  }

  clear(): void {
    this.count = 0;
    this.#namesEnd = 0;
    this.contents = noContents;
  }

  #addName(name: string): number {
    const start = this.#namesEnd;
    this.#namesEnd += this.names.write(name, start, 'latin1');
    this.names[this.#namesEnd++] = 0;
    return start;
  }
}

/** Makes one batch at a time below a directory that stays open. */
export class EntryMaker {
  readonly #handle: EntryMakerHandle;

  constructor(top: number) {
    this.#handle = native().entryMaker(top);
  }

  /** Makes the entries from that index on, up to one that fails; resolves with its index, or the count. */
  async make(batch: EntryBatch, from: number): Promise<number> {
    const {table, names, contents, count} = batch;
    return await native().makeEntries(this.#handle, table, names, contents, count, from);
  }

  /** Tries one of them again. */
  async makeOne(batch: EntryBatch, index: number): Promise<void> {
    const {table, names, contents} = batch;
    await native().makeEntries(this.#handle, table, names, contents, index + 1, index);
  }

  /** Takes over an open file whose parts come now; so much of it is written. */
  adoptFile(fd: number, position: number): void {
    native().adoptFile(this.#handle, fd, position);
  }

  /** Hands over the file whose parts come now. */
  releaseFile(): number {
    return native().releaseFile(this.#handle);
  }

  /** Closes what is open. */
  close(): void {
    native().closeMaker(this.#handle);
  }
}
