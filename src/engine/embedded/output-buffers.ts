/**
 * Buffers for what decoders make. New ones cost much: V8 marks its heap whenever so many bytes lie outside of it, a tenth
 * of the time that a tree takes. Who looks back no more than a mebibyte says so, and the same ones come again.
 */

/** Half a step of the other decoders (decoder-step.ts), for liblzma is slow enough to leave no difference. */
const outputBytes = 1024 * 1024;

/** A mebibyte that is looked back at may begin anywhere in its first buffer; one is made, one is ahead, one is taken. */
export const reusedBuffers = 8;

export class OutputBuffers {
  readonly #ring: Buffer[] = [];
  #isReused = false;

  get isReused(): boolean {
    return this.#isReused;
  }

  /** From now on each is good until seven more were asked for. */
  reuse(): void {
    this.#isReused = true;
  }

  next(): Buffer {
    const isFull = this.#ring.length === reusedBuffers;
    const buffer = (isFull && this.#ring.shift()) || Buffer.allocUnsafeSlow(outputBytes);
    if (this.#isReused) this.#ring.push(buffer);
    return buffer;
  }
}
