/** zstd on other threads: frames decoded in steps, and encoded whole. */
import {checked, native, SystemError, type ZstdDecoderHandle, type ZstdEncoderHandle} from './native.ts';

export interface ZstdStep {
  /** Bytes of the input that were used up. */
  taken: number;
  /** Bytes written to the output. */
  made: number;
  /** `end`: of a frame; the next step begins another. */
  state: 'more' | 'end' | 'damaged';
}

export class ZstdDecoder {
  readonly #handle: ZstdDecoderHandle;
  readonly #report = Buffer.alloc(8);

  private constructor(handle: ZstdDecoderHandle) {
    this.#handle = handle;
  }

  /** Undefined where there is no library. Frames with a window of more than 2 to that power are damaged to it. */
  static open(windowLog: number): ZstdDecoder | undefined {
    const handle = native().zstdDecoder(windowLog);
    return handle && new ZstdDecoder(handle);
  }

  /** Goes on until the input is used up, the output full or the frame over. One step at a time; buffers stay as they are. */
  async step(input: Buffer, output: Buffer): Promise<ZstdStep> {
    const result = await native().zstdDecode(this.#handle, input, output, this.#report);
    const taken = this.#report.readUInt32LE(0);
    const made = this.#report.readUInt32LE(4);
    return {taken, made, state: result < 0 ? 'damaged' : result === 0 ? 'end' : 'more'};
  }
}

/** Makes frames of up to so many bytes, with checksums, one at a time. */
export class ZstdEncoder {
  readonly #handle: ZstdEncoderHandle;
  /** What is to be encoded, from its start. */
  readonly input: Buffer;
  readonly #output: Buffer;

  private constructor(handle: ZstdEncoderHandle, frameBytes: number) {
    this.#handle = handle;
    this.input = Buffer.allocUnsafeSlow(frameBytes);
    // ZSTD_compressBound is less.
    this.#output = Buffer.allocUnsafeSlow(frameBytes + (frameBytes >>> 8) + 1024);
  }

  /** Undefined where there is no library. */
  static open(level: number, frameBytes: number): ZstdEncoder | undefined {
    const handle = native().zstdEncoder(level);
    return handle && new ZstdEncoder(handle, frameBytes);
  }

  /** The frame of the first bytes of the input, good until the next one. */
  async encode(length: number): Promise<Buffer> {
    return await this.#encode(length, -1, 0);
  }

  /** The frame of a part of a file; undefined if the file ends before it does. */
  async encodeFile(fd: number, offset: number, length: number): Promise<Buffer | undefined> {
    try {
      return await this.#encode(length, fd, offset);
    } catch (error) {
      if (error instanceof SystemError && error.code === 'ENODATA') return undefined;
      throw error;
    }
  }

  async #encode(length: number, fd: number, offset: number): Promise<Buffer> {
    const input = this.input.subarray(0, length);
    const made = await native().zstdEncode(this.#handle, input, this.#output, fd, offset);
    return this.#output.subarray(0, checked(made, fd < 0 ? 'zstd' : 'read'));
  }
}
