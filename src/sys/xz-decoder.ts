/** A decoder of the system's liblzma, which works on another thread, and on several where the file lets it. */
import {availableParallelism} from 'node:os';
import {native, type XzHandle} from './native.ts';

/** Results of lzma_code (lzma/base.h). */
const results: Readonly<Record<number, XzStep['state']>> = {
  0: 'more',
  1: 'end',
  5: 'tooLarge', // LZMA_MEM_ERROR
  6: 'tooLarge', // LZMA_MEMLIMIT_ERROR
  10: 'stuck', // LZMA_BUF_ERROR
};

export interface XzStep {
  /** Bytes of the input that were used up. */
  taken: number;
  /** Bytes written to the output. */
  made: number;
  /** `stuck`: nothing can be done without more input. */
  state: 'more' | 'end' | 'tooLarge' | 'stuck' | 'damaged';
}

export class XzDecoder {
  readonly #handle: XzHandle;
  readonly #report = Buffer.alloc(8);

  private constructor(handle: XzHandle) {
    this.#handle = handle;
  }

  /** Undefined where the library is not installed. The limit holds for all threads together; they become fewer first. */
  static open(maxMemoryBytes: number): XzDecoder | undefined {
    const handle = native().xzOpen(maxMemoryBytes, availableParallelism());
    return handle && new XzDecoder(handle);
  }

  /** Goes on until the input is used up or the output full. One step at a time; both buffers stay as they are meanwhile. */
  async step(input: Buffer, output: Buffer, {isLast}: {isLast: boolean}): Promise<XzStep> {
    const result = await native().xzStep(this.#handle, input, output, this.#report, isLast);
    const taken = this.#report.readUInt32LE(0);
    const made = this.#report.readUInt32LE(4);
    return {taken, made, state: results[result] ?? 'damaged'};
  }
}
