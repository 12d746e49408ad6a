import {Transform, type TransformCallback} from 'node:stream';
import {ImgctlError} from '../errors.ts';

/** Passes a body through and fails when it is not exactly as long as announced. */
export class ExactLength extends Transform {
  readonly #sizeBytes: number;
  #seenBytes = 0;

  constructor(sizeBytes: number) {
    super();
    this.#sizeBytes = sizeBytes;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.#seenBytes += chunk.length;
    callback(this.#seenBytes > this.#sizeBytes ? this.#wrongLength('at least ') : null, chunk);
  }

  override _flush(callback: TransformCallback): void {
    callback(this.#seenBytes === this.#sizeBytes ? null : this.#wrongLength(''));
  }

  #wrongLength(qualifier: string): ImgctlError {
    return new ImgctlError(
      'FileSystem',
      `the file to send has ${qualifier}${this.#seenBytes} bytes instead of ${this.#sizeBytes}`,
    );
  }
}
