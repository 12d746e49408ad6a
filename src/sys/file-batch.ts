/** Small new files, collected and then made on another thread. Names and contents are copied as they are added. */
import {closeSync} from 'node:fs';
import {duplicate} from './descriptors.ts';
import type {Metadata} from './metadata.ts';
import {native} from './native.ts';

const maxFiles = 256;
const contentsBytes = 2 * 1024 * 1024;
const namesBytes = maxFiles * 256;
/** struct job of file-batch.c. */
const recordBytes = 40;
const errorOffset = 36;

export interface NewFile {
  /** The open directory. */
  dir: number;
  /** Its path, by which one directory is told from another. */
  path: string;
  name: Buffer;
}

export class FileBatch {
  readonly #table = Buffer.from(new ArrayBuffer(maxFiles * recordBytes));
  readonly #records = new Uint32Array(this.#table.buffer);
  readonly #times = new BigInt64Array(this.#table.buffer);
  readonly #names = Buffer.allocUnsafe(namesBytes);
  readonly #contents = Buffer.allocUnsafeSlow(contentsBytes);
  /** By path, and of their own: whoever lent them may close them before the files are made. */
  readonly #directories = new Map<string, number>();
  #count = 0;
  #namesEnd = 0;
  #contentsEnd = 0;

  get count(): number {
    return this.#count;
  }

  hasRoom(length: number): boolean {
    return this.#count < maxFiles && this.#contentsEnd + length <= contentsBytes;
  }

  /** A name of at most 255 bytes without NUL, and contents for which there is room. Attributes are not for it. */
  add({dir, path, name}: NewFile, bytes: Buffer, {mode, uid, gid, mtimeNs}: Metadata): void {
    const at = this.#count * (recordBytes / 4);
    const record = this.#records;
    this.#times[at / 2] = mtimeNs;
    record[at + 2] = this.#ownDirectory(dir, path);
    record[at + 3] = this.#namesEnd;
    record[at + 4] = this.#contentsEnd;
    record[at + 5] = bytes.length;
    record[at + 6] = uid;
    record[at + 7] = gid;
    record[at + 8] = mode;
    this.#namesEnd += name.copy(this.#names, this.#namesEnd);
    this.#names[this.#namesEnd++] = 0;
    this.#contentsEnd += bytes.copy(this.#contents, this.#contentsEnd);
    this.#count += 1;
  }

  /** Makes them; resolves with the indexes of those that could not be made, of which nothing is left. */
  async make(): Promise<number[]> {
    const table = this.#table.subarray(0, this.#count * recordBytes);
    const contents = this.#contents.subarray(0, this.#contentsEnd);
    try {
      const failed = await native().makeFiles(table, this.#names.subarray(0, this.#namesEnd), contents);
      return failed === 0 ? [] : this.#failed();
    } finally {
      for (const fd of this.#directories.values()) closeSync(fd);
      this.#directories.clear();
    }
  }

  /** For the next ones; not while these are made. */
  clear(): void {
    this.#count = 0;
    this.#namesEnd = 0;
    this.#contentsEnd = 0;
  }

  /** Contents of a file that was added. */
  contentsOf(index: number): Buffer {
    const at = index * recordBytes;
    const start = this.#table.readUInt32LE(at + 16);
    return this.#contents.subarray(start, start + this.#table.readUInt32LE(at + 20));
  }

  #failed(): number[] {
    const isFailed = (index: number) => this.#table.readInt32LE(index * recordBytes + errorOffset) !== 0;
    return Array.from({length: this.#count}, (_, index) => index).filter(isFailed);
  }

  #ownDirectory(dir: number, path: string): number {
    const own = this.#directories.get(path) ?? duplicate(dir);
    this.#directories.set(path, own);
    return own;
  }
}
