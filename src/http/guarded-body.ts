import {Readable} from 'node:stream';

/** Bytes a second below which a peer is as good as silent: what importd asks of curl. */
const leastRate = 30;

/**
 * The body of an answer. Fails when the peer sends nothing for `stallTimeoutMs` while the reader waits, or so little that
 * it never comes to an end; time in which the reader itself does not read does not count. A failure shows after what was received before it, so
 * that no byte has to be asked for twice. Destroying it closes the connection.
 */
export class GuardedBody extends Readable {
  readonly #source: Readable;
  readonly #stallTimeoutMs: number;
  readonly #asError: (error: unknown) => Error;
  #timer: NodeJS.Timeout | undefined;
  /** What came since the reader began to wait, or since the last look at it. */
  #window: {sinceMs: number; bytes: number} | undefined;
  #failure: Error | undefined;

  constructor(source: Readable, options: {stallTimeoutMs: number; asError: (error: unknown) => Error}) {
    super({highWaterMark: 256 * 1024});
    this.#source = source;
    this.#stallTimeoutMs = options.stallTimeoutMs;
    this.#asError = options.asError;
    // It may fail before anybody reads: the reader is told when he comes, nobody else has to listen.
    this.on('error', () => undefined);
    source.on('data', (chunk: Buffer) => this.#accept(chunk));
    source.once('end', () => this.#finish());
    source.once('error', (error) => this.#fail(this.#asError(error)));
    source.once('close', () => this.#closed());
    // What failed a moment before this was made tells nobody any more.
    if (source.errored) process.nextTick(() => this.#fail(this.#asError(source.errored)));
    else if (source.closed) process.nextTick(() => this.#closed());
  }

  override read(size?: number): Buffer | null {
    const chunk = super.read(size);
    if (this.#failure && this.readableLength === 0) process.nextTick(() => this.destroy(this.#failure));
    return chunk;
  }

  override _read(): void {
    if (this.#failure) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#stalled(), this.#stallTimeoutMs);
    this.#window ??= {sinceMs: performance.now(), bytes: 0};
    this.#source.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#timer);
    // The connection is cut here; what it then complains about is our own doing.
    this.#source.on('error', () => undefined);
    this.#source.destroy();
    callback(error);
  }

  #accept(chunk: Buffer): void {
    if (this.push(chunk)) {
      this.#timer?.refresh();
      this.#weigh(chunk.length);
      return;
    }
    clearTimeout(this.#timer);
    this.#window = undefined;
    this.#source.pause();
  }

  #weigh(bytes: number): void {
    if (!this.#window) return;
    this.#window.bytes += bytes;
    const elapsedMs = Math.round(performance.now() - this.#window.sinceMs);
    if (elapsedMs < this.#stallTimeoutMs) return;
    const received = this.#window.bytes;
    this.#window = undefined;
    if (received < (leastRate * elapsedMs) / 1000)
      this.#fail(this.#asError(new Error(`only ${received} bytes received in ${elapsedMs} ms`)));
  }

  #finish(): void {
    clearTimeout(this.#timer);
    this.push(null);
  }

  #fail(error: Error): void {
    clearTimeout(this.#timer);
    this.#failure ??= error;
    if (this.readableLength === 0) this.destroy(error);
  }

  #closed(): void {
    if (this.destroyed || this.#failure || this.#source.readableEnded) return;
    this.#fail(this.#asError(new Error('connection closed in the middle of the answer')));
  }

  #stalled(): void {
    this.#fail(this.#asError(new Error(`no data received for ${this.#stallTimeoutMs} ms`)));
  }
}
