import {createGunzip} from 'node:zlib';
import {through} from './through.ts';

/** The default of 16 KiB costs 1.7 times the CPU (spec/dependencies.md). */
const chunkSize = 256 * 1024;

/** Decodes gzip: any number of members, zero padding after the last; anything else after it is an error. */
export async function* decodeGzip(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const decoder = createGunzip({chunkSize});
  const watched = new EndWatcher(source);
  yield* through(watched.unowned(), decoder);
  // The decoder stops at the first zero byte after a member and looks at nothing that follows.
  await watched.drain();
  if (watched.lastNonZeroEnd > decoder.bytesWritten) throw new Error('there is other data after the end');
}

/** Knows where the last byte that is not padding was. */
class EndWatcher {
  lastNonZeroEnd = 0;
  #position = 0;
  readonly #chunks: AsyncIterator<Buffer>;

  constructor(source: AsyncIterable<Buffer>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /** The source for a reader that may stop early without closing it. */
  async *unowned(): AsyncGenerator<Buffer> {
    for (let next = await this.#next(); next; next = await this.#next()) yield next;
  }

  async drain(): Promise<void> {
    while (await this.#next());
  }

  async #next(): Promise<Buffer | undefined> {
    const next = await this.#chunks.next();
    if (next.done) return undefined;
    let end = next.value.length;
    while (end > 0 && next.value[end - 1] === 0) end--;
    if (end > 0) this.lastNonZeroEnd = this.#position + end;
    this.#position += next.value.length;
    return next.value;
  }
}
