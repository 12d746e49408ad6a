import {once} from 'node:events';
import {Readable} from 'node:stream';
import {errnoOf} from '../errors.ts';
import {type ByteSink, putAway} from './direct-agent.ts';
import type {DirectBody} from './send.ts';

/** Bytes a second below which a peer is as good as silent: what importd asks of curl. */
const leastRate = 30;
/** Less is not worth a connection, which another request could use. */
const minDirectBytes = 1024 * 1024;

export interface GuardedBodyOptions {
  stallTimeoutMs: number;
  asError: (error: unknown) => Error;
  direct?: DirectBody | undefined;
}

/**
 * The body of an answer. Fails when the peer sends nothing for `stallTimeoutMs` while the reader waits, or so little that
 * it never comes to an end; time in which the reader itself does not read does not count. A failure shows after what was received before it, so
 * that no byte has to be asked for twice. Destroying it closes the connection.
 */
export class GuardedBody extends Readable {
  readonly #source: Readable;
  readonly #stallTimeoutMs: number;
  readonly #asError: (error: unknown) => Error;
  readonly #direct: DirectBody | undefined;
  #acceptedBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  /** What came since the reader began to wait, or since the last look at it. */
  #window: {sinceMs: number; bytes: number} | undefined;
  #failure: Error | undefined;

  constructor(source: Readable, options: GuardedBodyOptions) {
    super({highWaterMark: 256 * 1024});
    this.#source = source;
    this.#stallTimeoutMs = options.stallTimeoutMs;
    this.#asError = options.asError;
    this.#direct = options.direct;
    // It may fail before anybody reads: the reader is told when he comes, nobody else has to listen.
    this.on('error', () => undefined);
    source.on('data', (chunk: Buffer) => this.#accept(chunk));
    source.once('end', () => this.#finish());
    source.once('error', (error) => this.#fail(this.#asError(this.#recounted(error))));
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

  /**
   * Puts all that is left of the body into a sink, the most of it without a stream between; undefined where that cannot be
   * done, which leaves the body as it was. Rejects as reading would, or as the sink does. The body is to be destroyed then.
   */
  receiveInto(sink: ByteSink): Promise<void> | undefined {
    const direct = this.#direct;
    if (!direct || this.#failure || this.destroyed) return undefined;
    const underWay = direct.underWayBytes();
    const sizeBytes = direct.sizeBytes - this.#acceptedBytes - underWay;
    if (sizeBytes < minDirectBytes) return undefined;
    direct.reception.divert();
    return this.#receive(sink, this.readableLength + underWay, {direct, sizeBytes});
  }

  override _read(): void {
    if (this.#failure) return;
    this.#watch();
    this.#source.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#timer);
    // The connection is cut here; what it then complains about is our own doing.
    this.#source.on('error', () => undefined);
    this.#source.destroy();
    callback(error);
  }

  async #receive(
    sink: ByteSink,
    streamedBytes: number,
    {direct, sizeBytes}: {direct: DirectBody; sizeBytes: number},
  ): Promise<void> {
    for (let rest = streamedBytes; rest > 0; ) {
      const chunk: Buffer | null = this.read();
      if (chunk) await putAway(chunk, sink);
      else await once(this, 'readable');
      rest -= chunk?.length ?? 0;
    }
    await sink.whenReady();
    await this.#receiveDirectly(sink, direct, sizeBytes);
    clearTimeout(this.#timer);
  }

  #receiveDirectly(sink: ByteSink, {reception}: DirectBody, sizeBytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const goOn = () => {
        if (this.destroyed) return;
        this.#watch();
        reception.goOn();
      };
      this.once('error', reject);
      this.once('close', () => reject(this.#asError(new Error('the body was closed'))));
      const onBytes = (bytes: number) => {
        this.#acceptedBytes += bytes;
        this.#timer?.refresh();
        this.#weigh(bytes);
        if (reception.restBytes === 0) resolve();
      };
      this.#watch();
      reception.giveTo({
        sink,
        sizeBytes,
        onBytes,
        onFull: () => {
          this.#rest();
          sink.whenReady().then(goOn, reject);
        },
      });
    });
  }

  #accept(chunk: Buffer): void {
    this.#acceptedBytes += chunk.length;
    if (this.push(chunk)) {
      this.#timer?.refresh();
      this.#weigh(chunk.length);
      return;
    }
    this.#rest();
    this.#source.pause();
  }

  /** The reader waits from now on. */
  #watch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#stalled(), this.#stallTimeoutMs);
    this.#window ??= {sinceMs: performance.now(), bytes: 0};
  }

  /** The reader does not wait any more. */
  #rest(): void {
    clearTimeout(this.#timer);
    this.#window = undefined;
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

  /** got counts what came through it, which is not all. */
  #recounted(error: unknown): unknown {
    const isShort = error instanceof Error && errnoOf(error) === 'ERR_HTTP_CONTENT_LENGTH_MISMATCH';
    if (!this.#direct || !isShort) return error;
    const {sizeBytes} = this.#direct;
    const text = `Content-Length mismatch: expected ${sizeBytes} bytes, received ${this.#acceptedBytes} bytes`;
    return Object.assign(new Error(text), {code: errnoOf(error)});
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
