/**
 * Takes what arrives into a file and into its digests, each on a thread of its own, while more is received. All that came
 * during one writing goes into the next, because a call for every chunk of a socket costs more than the writing; pieces are
 * written one after the other, so that a file is always a beginning of what arrived, and what arrived does not wait for more.
 */
import type {Readable} from 'node:stream';
import {type ByteSink, putAway} from '../http/direct-agent.ts';
import {GuardedBody} from '../http/guarded-body.ts';
import {writeSparseBeside} from '../sys/contents.ts';
import type {StreamDigest} from '../sys/stream-digest.ts';

/** The kernel gives what a socket holds, which is up to 6 MiB; larger pieces were no faster. */
const bufferBytes = 1 << 20;
const maxBuffers = 4;

export interface IntakeOptions {
  /** Where the next byte goes; everything before is there. */
  offsetBytes: number;
  digests: readonly StreamDigest[];
  /** Told how far the file reaches, and what comes before that is in the digests. */
  onWritten: (endBytes: number) => void;
  /** Looks at how far it would reach before bytes are taken: throws when that is too far. */
  onBytes?: (endBytes: number) => void;
}

/** A buffer is free again when all that it could hold was written. */
interface Filling {
  buffer: Buffer;
  start: number;
  end: number;
}

export class Intake implements ByteSink {
  readonly #fd: number;
  readonly #options: IntakeOptions;
  #endBytes: number;
  #writtenBytes: number;
  #free: Buffer[] = [];
  #buffers = 0;
  #current: Filling | undefined;
  /** Full ones, which are to be written before the current one. */
  #full: Filling[] = [];
  #running: Promise<void> | undefined;
  #failure: {error: unknown} | undefined;
  #wake: (() => void) | undefined;

  constructor(fd: number, options: IntakeOptions) {
    this.#fd = fd;
    this.#options = options;
    this.#endBytes = options.offsetBytes;
    this.#writtenBytes = options.offsetBytes;
  }

  /** How far the file reaches once everything is written. */
  get endBytes(): number {
    return this.#endBytes;
  }

  /** Takes a body to its end, which the caller destroys. Rejects as the body does, or with what could not be written. */
  async receive(body: Readable): Promise<void> {
    const receiving = body instanceof GuardedBody ? body.receiveInto(this) : undefined;
    if (receiving) return receiving;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      this.#options.onBytes?.(this.#endBytes + chunk.length);
      await putAway(chunk, this);
    }
  }

  room(): Buffer {
    if (!this.#current) {
      const buffer = this.#takeBuffer();
      if (buffer) this.#current = {buffer, start: 0, end: 0};
    }
    return this.#current ? this.#current.buffer.subarray(this.#current.end) : Buffer.alloc(0);
  }

  filled(bytes: number): boolean {
    const current = this.#current as Filling;
    current.end += bytes;
    this.#endBytes += bytes;
    if (current.end === current.buffer.length) {
      this.#full.push(current);
      this.#current = undefined;
    }
    if (!this.#running && !this.#failure) this.#begin();
    return this.#hasRoom();
  }

  async whenReady(): Promise<void> {
    while (!this.#hasRoom()) {
      if (this.#failure) throw this.#failure.error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Resolves when everything is in the file. Rejects with what was not. */
  async flush(): Promise<void> {
    await this.#running;
    if (this.#failure) throw this.#failure.error;
  }

  #hasRoom(): boolean {
    const hasBuffer = this.#current !== undefined || this.#free.length > 0 || this.#buffers < maxBuffers;
    return hasBuffer && !this.#failure;
  }

  #takeBuffer(): Buffer | undefined {
    const free = this.#free.pop();
    if (free || this.#buffers === maxBuffers) return free;
    this.#buffers += 1;
    return Buffer.allocUnsafeSlow(bufferBytes);
  }

  #begin(): void {
    this.#running = this.#writeAll().catch((error: unknown) => {
      // This stays as it is, so that nobody goes on.
      this.#failure = {error};
      this.#wake?.();
    });
  }

  async #writeAll(): Promise<void> {
    for (let piece = this.#nextPiece(); piece; piece = this.#nextPiece()) {
      const {filling, bytes} = piece;
      const digested = this.#options.digests.map((digest) => digest.update(bytes));
      const written = writeSparseBeside(this.#fd, bytes, this.#writtenBytes);
      const results = await Promise.allSettled([written, ...digested]);
      for (const result of results) if (result.status === 'rejected') throw result.reason;
      this.#writtenBytes += bytes.length;
      if (filling.start === filling.buffer.length) {
        this.#free.push(filling.buffer);
        this.#wake?.();
      }
      this.#options.onWritten(this.#writtenBytes);
    }
    this.#running = undefined;
  }

  #nextPiece(): {filling: Filling; bytes: Buffer} | undefined {
    const filling = this.#full.shift() ?? this.#current;
    if (!filling || filling.start === filling.end) return undefined;
    const bytes = filling.buffer.subarray(filling.start, filling.end);
    filling.start = filling.end;
    return {filling, bytes};
  }
}
