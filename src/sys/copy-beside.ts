/**
 * A second copy of a file, made on another thread while the first is written: what was written is still in memory, and
 * the disk is kept busy. The beginning must not change any more once it was told of.
 */
import {ftruncateSync} from 'node:fs';
import {constants} from 'node:os';
import {copyFileNow} from './copy-file.ts';
import {native, SystemError} from './native.ts';

/** Below this, the calls cost more than the copying gains. */
const stepBytes = 16 * 1024 * 1024;

/** Where the kernel does not copy between these files, or knows of no holes in them. */
const cannotCopy = new Set([
  constants.errno.EINVAL,
  constants.errno.ENOSYS,
  constants.errno.EOPNOTSUPP,
  constants.errno.EPERM,
  constants.errno.EXDEV,
]);

export class CopyBeside {
  readonly #source: number;
  readonly #target: number;
  #begun = 0;
  #running: Promise<void> | undefined;
  /** A negative errno. */
  #failure = 0;

  /** The source is open for reading too, the target is empty; both stay open until `finish` or `settle`. */
  constructor(source: number, target: number) {
    this.#source = source;
    this.#target = target;
  }

  /** Everything before `position` has been written. */
  reached(position: number): void {
    if (!this.#running && this.#failure === 0 && position - this.#begun >= stepBytes) this.#copyTo(position);
  }

  /** Resolves when all of the source, which has so many bytes, is in the target. Throws what the kernel says. */
  async finish(size: number): Promise<void> {
    await this.settle();
    if (this.#failure === 0 && this.#begun < size) this.#copyTo(size);
    await this.settle();
    if (this.#failure === 0) return ftruncateSync(this.#target, size);
    if (!cannotCopy.has(-this.#failure)) throw new SystemError(-this.#failure, 'copy_file_range');
    copyFileNow(this.#source, this.#target);
  }

  /** Resolves when nothing is being copied. */
  async settle(): Promise<void> {
    await this.#running;
  }

  #copyTo(position: number): void {
    const running = native().copyBeside(this.#source, this.#target, this.#begun, position);
    this.#begun = position;
    this.#running = running.then((result) => {
      this.#running = undefined;
      this.#failure = result;
    });
  }
}
