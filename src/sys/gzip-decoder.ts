/** gzip on another thread: members decoded in steps. */
import {type GzipHandle, native} from './native.ts';

export interface GzipStep {
  /** Bytes of the input that were used up. */
  taken: number;
  /** Bytes written to the output. */
  made: number;
  /** `end`: of a member; the next step begins another. */
  state: 'more' | 'end' | 'damaged';
}

export class GzipDecoder {
  readonly #handle: GzipHandle;
  readonly #report = Buffer.alloc(8);

  private constructor(handle: GzipHandle) {
    this.#handle = handle;
  }

  /** Undefined where there is no library. */
  static open(): GzipDecoder | undefined {
    const handle = native().gzipDecoder();
    return handle && new GzipDecoder(handle);
  }

  /** Goes on until the input is used up, the output full or the member over. One step at a time; buffers stay as they are. */
  async step(input: Buffer, output: Buffer): Promise<GzipStep> {
    const result = await native().gzipDecode(this.#handle, input, output, this.#report);
    const taken = this.#report.readUInt32LE(0);
    const made = this.#report.readUInt32LE(4);
    return {taken, made, state: result < 0 ? 'damaged' : result === 0 ? 'end' : 'more'};
  }
}
