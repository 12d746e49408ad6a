import {Transform, type TransformCallback} from 'node:stream';

/** Passes bytes through up to a limit and fails with the first one above it. */
export class SizeLimit extends Transform {
  #leftBytes: number;
  readonly #error: () => Error;

  constructor(maxBytes: number, error: () => Error) {
    super();
    this.#leftBytes = maxBytes;
    this.#error = error;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.#leftBytes -= chunk.length;
    if (this.#leftBytes < 0) callback(this.#error());
    else callback(null, chunk);
  }
}
