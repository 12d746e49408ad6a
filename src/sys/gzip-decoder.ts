/** gzip on another thread: members decoded in steps. */
import {stepBytes} from './decoder-step.ts';
import {type GzipHandle, native} from './native.ts';

export interface GzipStep {
  /** Bytes of the input that were used up. */
  taken: number;
  /** A part of the decoder's memory, good until as many steps were begun as it was opened for. */
  bytes: Buffer;
  /** `end`: of a member; the next step begins another. */
  state: 'more' | 'end' | 'damaged';
}

const windowBytes = 32 * 1024;

export class GzipDecoder {
  readonly #handle: GzipHandle = native().gzipDecoder();
  readonly #report = Buffer.alloc(12);
  readonly #ring: Buffer;

  /** Each step's bytes stay as they are until `goodSteps` more were made. */
  constructor(goodSteps: number) {
    // What one step overwrites, and what is left out at the end because it is no whole step.
    this.#ring = Buffer.allocUnsafeSlow(windowBytes + (goodSteps + 3) * stepBytes);
  }

  /** Goes on until the input is used up, enough is made or the member over. One step at a time; the input stays as it is. */
  async step(input: Buffer): Promise<GzipStep> {
    const result = await native().gzipDecode(this.#handle, input, this.#ring, this.#report, stepBytes);
    const [taken, start, made] = [0, 4, 8].map((at) => this.#report.readUInt32LE(at)) as [
      number,
      number,
      number,
    ];
    const bytes = this.#ring.subarray(start, start + made);
    return {taken, bytes, state: result < 0 ? 'damaged' : result === 0 ? 'end' : 'more'};
  }
}
