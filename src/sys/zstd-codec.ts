/** zstd on other threads: frames decoded in steps, and encoded whole. */
import {constants} from 'node:os';
import {stepBytes} from './decoder-step.ts';
import {checked, native, type ZstdDecoderHandle, type ZstdEncoderHandle} from './native.ts';

export interface ZstdStep {
  /** Bytes of the input that were used up. */
  taken: number;
  /** A part of the ring. */
  bytes: Buffer;
  /** `end`: of a frame; the next step begins another. */
  state: 'more' | 'end' | 'damaged';
}

const blockBytes = 128 * 1024;

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

/** ZSTD_cParameter of zstd.h. What is left out is the level's; `splitLevel` is of 1.5.7, older versions go without. */
const parameterNumbers = {
  level: 100,
  windowLog: 101,
  hashLog: 102,
  minMatch: 105,
  strategy: 107,
  checksum: 201,
  splitLevel: 1017,
} as const;

export type ZstdParameters = Partial<Record<keyof typeof parameterNumbers, number>>;

function encodeParameters(parameters: ZstdParameters): Buffer {
  const pairs = Object.entries(parameterNumbers).flatMap(([name, number]) => {
    const value = parameters[name as keyof ZstdParameters];
    return value === undefined ? [] : [number, value];
  });
  return Buffer.from(Int32Array.from(pairs).buffer);
}

/** Makes frames of up to so many bytes, one at a time. */
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
    for (const buffer of [this.input, this.#output]) native().wantLargePages(buffer);
  }

  /** Undefined where there is no library. */
  static open(parameters: ZstdParameters, frameBytes: number): ZstdEncoder | undefined {
    const handle = native().zstdEncoder(encodeParameters(parameters));
    return handle && new ZstdEncoder(handle, frameBytes);
  }

  /** The frame of the first bytes of the input, good until the next one. */
  async encode(length: number): Promise<Buffer> {
    return this.#output.subarray(0, checked(await this.#encode(length, -1, 0), 'zstd'));
  }

  /**
   * The frame of a part of a file; `zeros`, of which the input then is full, where there is nothing else; undefined if
   * the file ends before it does.
   */
  async encodeFile(fd: number, offset: number, length: number): Promise<Buffer | 'zeros' | undefined> {
    const made = await this.#encode(length, fd, offset);
    if (made === -constants.errno.ENODATA) return undefined;
    return made === 0 ? 'zeros' : this.#output.subarray(0, checked(made, 'read'));
  }

  async #encode(length: number, fd: number, offset: number): Promise<number> {
    return await native().zstdEncode(this.#handle, this.input.subarray(0, length), this.#output, fd, offset);
  }
}
