/**
 * A second copy of a file, made on another thread while the first is written: what was written is still in memory, and
 * the disk is kept busy. The beginning must not change any more once it was told of.
 */
import {ftruncateSync} from 'node:fs';
import {constants} from 'node:os';
import {copyFileNow} from './copy-file.ts';
import {native, SystemError} from './native.ts';
import {StepsBehind} from './steps-behind.ts';

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
  readonly #steps: StepsBehind;

  /** The source is open for reading too, the target is empty; both stay open until `finish` or `settle`. */
  constructor(source: number, target: number) {
    this.#source = source;
    this.#target = target;
    this.#steps = new StepsBehind(async (from, to) => {
      const result = await native().copyBeside(source, target, from, to);
      if (result < 0) throw new SystemError(-result, 'copy_file_range');
    });
  }

  /** Everything before `position` has been written. */
  reached(position: number): void {
    this.#steps.reached(position);
  }

  /** Resolves when all of the source, which has so many bytes, is in the target. Throws what the kernel says. */
  async finish(size: number): Promise<void> {
    try {
      await this.#steps.finish(size);
      ftruncateSync(this.#target, size);
    } catch (error) {
      if (!(error instanceof SystemError && cannotCopy.has(error.errno))) throw error;
      copyFileNow(this.#source, this.#target);
    }
  }

  /** Resolves when nothing is being copied. */
  async settle(): Promise<void> {
    await this.#steps.settle();
  }
}
