/** The part of a stream that is needed, addressed by bits from its start. */
export class BitWindow {
  readonly #chunks: AsyncIterator<Buffer>;
  /** What is at hand is a part of it; there is room behind for more. */
  #room: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;
  /** The one before, and where in the stream that ended: new memory costs as much as the moving. */
  #spare: {room: Buffer; endByte: number} = {room: this.#room, endByte: 0};
  /** Bytes of the stream before the window. */
  #dropped = 0;

  constructor(source: AsyncIterable<Buffer>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  get endBit(): number {
    return (this.#dropped + this.#end - this.#start) * 8;
  }

  /** The bytes at hand, which stay as they are, and the bit of the stream that they begin with. */
  get part(): {bytes: Buffer; firstBit: number} {
    return {bytes: this.#room.subarray(this.#start, this.#end), firstBit: this.#dropped * 8};
  }

  /** Takes the next chunk; false at the end of the stream. */
  async grow(): Promise<boolean> {
    const next = await this.#chunks.next();
    if (next.done) return false;
    if (this.#end + next.value.length > this.#room.length) this.#move(next.value.length);
    this.#end += next.value.copy(this.#room, this.#end);
    return true;
  }

  /** Whole bytes from a bit that begins one; fewer only at the end of the stream. */
  async bytesAt(bit: number, length: number): Promise<Buffer> {
    while (this.endBit < bit + length * 8 && (await this.grow()));
    const start = bit / 8 - this.#dropped;
    return this.part.bytes.subarray(start, start + length);
  }

  /** 32 bits as a number; undefined where the stream ends before. */
  async numberAt(bit: number): Promise<number | undefined> {
    const shift = bit % 8;
    const bytes = await this.bytesAt(bit - shift, shift === 0 ? 4 : 5);
    if (bytes.length * 8 < shift + 32) return undefined;
    const wide = (BigInt(bytes.readUInt32BE(0)) << 8n) | BigInt(bytes[4] ?? 0);
    return Number((wide >> BigInt(8 - shift)) & 0xffff_ffffn);
  }

  dropBefore(bit: number): void {
    const count = Math.floor(bit / 8) - this.#dropped;
    this.#start += count;
    this.#dropped += count;
  }

  /** To room for as much again, so that each byte is moved once on average. */
  #move(count: number): void {
    const {bytes} = this.part;
    const left = {room: this.#room, endByte: this.#dropped + bytes.length};
    const size = 2 * (bytes.length + count);
    const spare = this.#spare;
    // What was in it may be read until it is dropped.
    const isFree = spare.endByte <= this.#dropped && spare.room.length >= size;
    const room = isFree ? spare.room : Buffer.allocUnsafeSlow(Math.max(size, left.room.length));
    this.#spare = left;
    this.#end = bytes.copy(room);
    this.#start = 0;
    this.#room = room;
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
