/**
 * Contents of plain files on their way into the tree: each in a file named by its object, until the tree tells where
 * it belongs (spec/zfs-send-stream.md §6.7). What an origin has is copied when it is needed.
 */
import {closeSync, constants, fstatSync, ftruncateSync, mkdirSync, openSync, readSync} from 'node:fs';
import {invalidStream} from '../../../formats/zfs-stream/zfs-errors.ts';
import type {ContentSink} from '../../../formats/zfs-stream/zfs-object.ts';
import {copyFileNow} from '../../../sys/copy-file.ts';
import {openAt, renameAt, unlinkAt} from '../../../sys/files.ts';
import {stagedObjects} from '../../../sys/staging.ts';
import type {OriginTree} from './origin-tree.ts';
import {SparseFile} from './sparse-file.ts';

const newFlags = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR | constants.O_NOFOLLOW;
const oldFlags = constants.O_RDWR | constants.O_NOFOLLOW;
const maxOffset = Number.MAX_SAFE_INTEGER;

export class ContentStore implements ContentSink, Disposable {
  readonly #directory: number;
  /** Files that are here, and where nothing follows in them any more. */
  readonly #ends = new Map<number, number>();
  #origin: OriginTree | undefined;
  #current: {object: number; file: SparseFile} | undefined;

  /** Makes its directory in the working directory. */
  constructor() {
    mkdirSync(stagedObjects, 0o700);
    this.#directory = openSync(stagedObjects, constants.O_RDONLY | constants.O_DIRECTORY);
  }

  /** From here on, files that are not here are those of the origin. */
  useOrigin(origin: OriginTree): void {
    this.#origin = origin;
  }

  write(object: number, offset: number, bytes: Buffer): void {
    this.#open(object).write(offset, bytes);
  }

  free(object: number, offset: number, length: number): void {
    if (!this.#ends.has(object)) {
      const inOrigin = this.#origin?.find(object);
      const isAll = offset === 0 && length >= maxOffset;
      if (isAll) this.#origin?.forget(object);
      if (isAll || inOrigin === undefined || inOrigin.isLost || offset >= inOrigin.size) return;
    }
    this.#open(object).free(offset, Math.min(length, maxOffset - offset));
  }

  drop(object: number): void {
    this.#origin?.forget(object);
    if (this.#current?.object === object) this.#close();
    if (this.#ends.delete(object)) unlinkAt(this.#directory, String(object));
  }

  /** The first `size` bytes; holes and what is missing are zeros. */
  read(object: number, size: number): Buffer {
    const bytes = Buffer.alloc(size);
    if (size === 0 || !this.#isHere(object)) return bytes;
    const file = this.#open(object);
    file.flush();
    for (let done = 0; done < size; ) {
      const count = readSync(file.fd, bytes, done, size - done, done);
      if (count === 0) break;
      done += count;
    }
    return bytes;
  }

  /** The contents with their size, open for reading until the next call of anything here. */
  openSized(object: number, size: number): number {
    const file = this.#open(object);
    file.flush();
    if (fstatSync(file.fd).size !== size) ftruncateSync(file.fd, size);
    return file.fd;
  }

  /** Whether there are contents that were not placed. */
  has(object: number): boolean {
    return this.#ends.has(object);
  }

  /** Puts the contents under their name, with the size they have to have, and returns them open; the caller closes them. */
  place(object: number, size: number, dir: number, name: Buffer): number {
    const isHere = this.#isHere(object);
    const fd = isHere ? this.#open(object).fd : openAt(dir, name, newFlags, 0o600);
    try {
      if (isHere) {
        this.#current?.file.flush();
        renameAt(this.#directory, String(object), dir, name, 'noReplace');
        this.#current = undefined;
        this.#ends.delete(object);
      }
      if (fstatSync(fd).size !== size) ftruncateSync(fd, size);
      return fd;
    } catch (error) {
      if (this.#current?.file.fd !== fd) closeSync(fd);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#close();
    closeSync(this.#directory);
  }

  #isHere(object: number): boolean {
    return this.#ends.has(object) || this.#isInOrigin(object);
  }

  #open(object: number): SparseFile {
    if (this.#current?.object === object) return this.#current.file;
    this.#close();
    const end = this.#ends.get(object);
    const fd = openAt(this.#directory, String(object), end === undefined ? newFlags : oldFlags, 0o600);
    const file = new SparseFile(fd, end ?? 0);
    this.#current = {object, file};
    if (end !== undefined) return file;
    this.#ends.set(object, 0);
    if (!this.#isInOrigin(object)) return file;
    this.#current.file = new SparseFile(fd, this.#copyFromOrigin(object, fd));
    return this.#current.file;
  }

  /** Fails for a file of the origin whose contents nobody has. */
  #isInOrigin(object: number): boolean {
    const inOrigin = this.#origin?.find(object);
    if (inOrigin?.isLost) throw invalidStream(`it needs object ${object}, which no file of the origin has`);
    return inOrigin !== undefined;
  }

  #copyFromOrigin(object: number, target: number): number {
    if (!this.#origin) return 0;
    const source = this.#origin.open(object);
    try {
      copyFileNow(source, target);
      return fstatSync(target).size;
    } finally {
      closeSync(source);
    }
  }

  #close(): void {
    if (!this.#current) return;
    const {object, file} = this.#current;
    this.#current = undefined;
    try {
      this.#ends.set(object, file.flush());
    } finally {
      closeSync(file.fd);
    }
  }
}
