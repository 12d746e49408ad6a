/** Entries of a tree, collected and then made on another thread in their order. Contents are not copied. */
import type {Metadata} from './metadata.ts';
import {type EntryMakerHandle, native} from './native.ts';

const maxEntries = 1024;
/** struct entry of entry-batch.h. */
const recordBytes = 40;
const recordWords = recordBytes / 4;
const namesBytes = 64 * 1024;
const noContents = Buffer.alloc(0);
const noXattrs: ReadonlyMap<string, Buffer> = new Map();

/** As entry-batch.h numbers them. */
export const entryKind = {
  directory: 0,
  whole: 1,
  symlink: 2,
  link: 3,
  begin: 4,
  part: 5,
  end: 6,
  finish: 7,
} as const;

type EntryKind = (typeof entryKind)[keyof typeof entryKind];

export interface NewEntry {
  kind: EntryKind;
  /** From the top (latin1), without NUL. */
  path: string;
  /** What it links to: a symbolic link's text, or the path of the other name. */
  other?: string;
  metadata?: Metadata;
  bytes?: Buffer;
}

/** What was collected of an archive. */
export interface Collected {
  count: number;
  /** Where the next entry begins. */
  end: number;
}

/** What shares a buffer goes into one batch. Attributes are not for it. */
export class EntryBatch {
  readonly table = Buffer.from(new ArrayBuffer(maxEntries * recordBytes));
  readonly names = Buffer.allocUnsafeSlow(namesBytes);
  contents: Buffer = noContents;
  count = 0;
  readonly #words = new Uint32Array(this.table.buffer);
  readonly #times = new BigInt64Array(this.table.buffer);
  /** struct collection of tar-entries.c. */
  readonly #collection = new Uint32Array(5);
  #namesEnd = 0;

  /** Whether an entry with names of that length goes with those that are there. */
  hasRoom(namesLength: number, bytes: Buffer | undefined): boolean {
    if (this.count === maxEntries || this.#namesEnd + namesLength + 2 > namesBytes) return false;
    return !bytes?.length || this.#sharesBuffer(bytes);
  }

  /** There must be room. */
  add({kind, path, other, metadata, bytes}: NewEntry): void {
    const at = this.count * recordWords;
    const words = this.#words;
    this.#times[at / 2] = metadata?.mtimeNs ?? 0n;
    words[at + 2] = kind;
    const pathAt = this.#addName(path);
    words[at + 3] = pathAt;
    words[at + 4] = other === undefined ? pathAt : this.#addName(other);
    words[at + 5] = bytes?.length ? bytes.byteOffset : 0;
    words[at + 6] = bytes?.length ?? 0;
    words[at + 7] = metadata?.uid ?? 0;
    words[at + 8] = metadata?.gid ?? 0;
    words[at + 9] = metadata?.mode ?? 0;
    if (bytes?.length) this.#use(bytes);
    this.count += 1;
  }

  /**
   * Adds the plain entries of a tar archive that lie in `bytes` from that offset on, as many as there is room for and no more
   * than `most`. The first header has to lie there; headers that are anything but plain are left, whatever they say.
   */
  collectTar(bytes: Buffer, from: number, most: number): Collected {
    if (!this.#sharesBuffer(bytes)) return {count: 0, end: from};
    const [before, {byteOffset}] = [this.count, bytes];
    const whole = Buffer.from(bytes.buffer);
    const last = Math.min(maxEntries, before + most);
    this.#collection.set([before, this.#namesEnd, byteOffset + from, byteOffset + bytes.length, last]);
    native().collectTarEntries(this.table, this.names, whole, this.#collection);
    const [count = before, namesEnd = 0, end = 0] = this.#collection;
    if (count > before) this.#use(bytes);
    this.count = count;
    this.#namesEnd = namesEnd;
    return {count: count - before, end: end - byteOffset};
  }

  kindOf(index: number): number | undefined {
    return this.#words[index * recordWords + 2];
  }

  /** What was added or collected, but for attributes. */
  entryAt(index: number): NewEntry & {metadata: Metadata} {
    const at = index * recordWords;
    const [kind, pathAt = 0, otherAt = 0, start = 0, length = 0] = this.#words.subarray(at + 2, at + 7);
    const [uid = 0, gid = 0, mode = 0] = this.#words.subarray(at + 7, at + recordWords);
    return {
      kind: kind as EntryKind,
      path: this.#nameAt(pathAt),
      ...(otherAt !== pathAt && {other: this.#nameAt(otherAt)}),
      metadata: {mode, uid, gid, mtimeNs: this.#times[at / 2] ?? 0n, xattrs: noXattrs},
      bytes: this.contents.subarray(start, start + length),
    };
  }

  clear(): void {
    this.count = 0;
    this.#namesEnd = 0;
    this.contents = noContents;
  }

  #sharesBuffer({buffer}: Buffer): boolean {
    return this.contents === noContents || this.contents.buffer === buffer;
  }

  #use({buffer}: Buffer): void {
    if (this.contents === noContents) this.contents = Buffer.from(buffer);
  }

  #addName(name: string): number {
    const start = this.#namesEnd;
    this.#namesEnd += this.names.write(name, start, 'latin1');
    this.names[this.#namesEnd++] = 0;
    return start;
  }

  #nameAt(start: number): string {
    return this.names.toString('latin1', start, this.names.indexOf(0, start));
  }
}

/**
 * Makes one batch at a time below a directory that stays open. It keeps few others open, because the kernel makes the table of
 * descriptors larger at the 64th, and a process with threads waits for that: 0.17 s of the 1.1 that a tree takes.
 */
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
