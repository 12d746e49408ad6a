/** zstd on other threads: frames decoded in steps, and encoded whole. */
import {checked, native, SystemError, type ZstdDecoderHandle, type ZstdEncoderHandle} from './native.ts';

export interface ZstdStep {
  /** Bytes of the input that were used up. */
  taken: number;
  /** A part of the ring. */
  bytes: Buffer;
  /** `end`: of a frame; the next step begins another. */
  state: 'more' | 'end' | 'damaged';
}

const blockBytes = 128 * 1024;
/** What a step makes: of a disk of 1 GiB, 1 MiB took 1.40 s of processor and 256 KiB 1.18. */
const stepBytes = 256 * 1024;

export class ZstdDecoder {
  readonly #handle: ZstdDecoderHandle;
  readonly #report = Buffer.alloc(12);

  private constructor(handle: ZstdDecoderHandle) {
    this.#handle = handle;
  }

  /** Undefined where there is no library. */
  static open(): ZstdDecoder | undefined {
    const handle = native().zstdDecoder();
    return handle && new ZstdDecoder(handle);
  }

  /** Where a frame of that window is decoded; each step's bytes are good until `goodSteps` more were made. */
  static ringFor(windowBytes: number, goodSteps: number): Buffer {
    // What lies behind the last whole block is left out.
    return Buffer.allocUnsafeSlow(Math.max(windowBytes, (goodSteps + 1) * stepBytes) + 2 * blockBytes);
  }

  /** Goes on until the input is used up, enough is made or the frame over. One step at a time; the ring is that of the frame. */
  async step(input: Buffer, ring: Buffer): Promise<ZstdStep> {
    const result = await native().zstdDecode(this.#handle, input, ring, this.#report, stepBytes);
    const [taken, start, made] = [0, 4, 8].map((at) => this.#report.readUInt32LE(at)) as [
      number,
      number,
      number,
    ];
    const bytes = ring.subarray(start, start + made);
    return {taken, bytes, state: result < 0 ? 'damaged' : result === 0 ? 'end' : 'more'};
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
