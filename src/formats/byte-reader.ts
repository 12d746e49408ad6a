const noBytes = Buffer.alloc(0);

/** Reads exact amounts from a stream of chunks. One reader owns its source and asks for nothing it does not need. */
export class ByteReader {
  /** Bytes handed out so far. */
  position = 0;
  readonly #chunks: AsyncIterator<Buffer>;
  #current: Buffer = noBytes;

  constructor(source: AsyncIterable<Buffer>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /** The next `length` bytes; fewer only at the end of the source. Valid until the next call if not copied. */
  async read(length: number): Promise<Buffer> {
    if (this.#current.length < length) return await this.#gather(length);
    const bytes = this.#current.subarray(0, length);
    this.#current = this.#current.subarray(length);
    this.position += length;
    return bytes;
  }

  /** How many bytes are there without waiting. */
  get ready(): number {
    return this.#current.length;
  }

  /** As `peekSome`, of what is ready. */
  get readyBytes(): Buffer {
    return this.#current;
  }

  /** Drops bytes that are ready. */
  drop(length: number): void {
    this.#current = this.#current.subarray(length);
    this.position += length;
  }

  /** Copies what lies in several chunks, and only that. */
  async #gather(length: number): Promise<Buffer> {
    const parts = [this.#current];
    let have = this.#current.length;
    this.#current = noBytes;
    while (have < length) {
      const next = await this.#chunks.next();
      if (next.done) break;
      const wanted = Math.min(length - have, next.value.length);
      parts.push(next.value.subarray(0, wanted));
      this.#current = next.value.subarray(wanted);
      have += wanted;
    }
    this.position += have;
    return Buffer.concat(parts, have);
  }

  /** As `read`, but the bytes stay. */
  async peek(length: number): Promise<Buffer> {
    if (this.#current.length < length) {
      const parts = [this.#current];
      let have = this.#current.length;
      while (have < length) {
        const next = await this.#chunks.next();
        if (next.done) break;
        parts.push(next.value);
        have += next.value.length;
      }
      this.#current = Buffer.concat(parts, have);
    }
    return this.#current.subarray(0, length);
  }

  /** As `readSome`, but the bytes stay. */
  async peekSome(): Promise<Buffer> {
    while (this.#current.length === 0) {
      const next = await this.#chunks.next();
      if (next.done) break;
      this.#current = next.value;
    }
    return this.#current;
  }

  /** Up to `limit` bytes as they come, without copying; empty only at the end of the source. */
  async readSome(limit: number): Promise<Buffer> {
    const {length} = await this.peekSome();
    return length === 0 ? noBytes : await this.read(Math.min(limit, length));
  }

  /** Drops up to `length` bytes and returns how many there were. */
  async skip(length: number): Promise<number> {
    let skipped = 0;
    while (skipped < length) {
      const bytes = await this.readSome(length - skipped);
      if (bytes.length === 0) break;
      skipped += bytes.length;
    }
    return skipped;
  }

  /** Everything that is left. */
  async *rest(): AsyncGenerator<Buffer> {
    for (;;) {
      const bytes = await this.readSome(Number.POSITIVE_INFINITY);
      if (bytes.length === 0) return;
      yield bytes;
    }
  }

  /** Tells the source that nothing more will be read. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
