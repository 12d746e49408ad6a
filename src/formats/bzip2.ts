/**
 * bzip2 in JavaScript, about half as fast as the tool. seek-bzip decodes only in one go, so its steps are
 * driven from here: a block is begun only when all of its bytes have arrived.
 */
import type Bunzip from 'seek-bzip';
import {ByteReader} from './byte-reader.ts';

/** More than the largest block: 900,000 symbols of at most 20 bits, and its tables. */
const maxBlockBytes = 2_400_000;
const outputBytes = 256 * 1024;

export async function* decodeBzip2(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const {default: Decoder} = await import('seek-bzip');
  const reader = new ByteReader(source);
  for (let streams = 0; ; streams++) {
    const input = new BlockInput(await reader.peek(maxBlockBytes));
    if (input.bytes.length === 0 && streams > 0) return;
    if (streams > 0 && input.bytes.toString('latin1', 0, 3) !== 'BZh') {
      throw new Error('there is other data after the end');
    }
    yield* decodeStream(Decoder, reader, input);
  }
}

async function* decodeStream(
  Decoder: typeof Bunzip,
  reader: ByteReader,
  input: BlockInput,
): AsyncGenerator<Buffer> {
  const output = new BlockOutput();
  const decoder = new Decoder(input, output);
  while (decoder._init_block()) {
    decoder._read_bunzip();
    yield* output.take();
    await reader.read(input.position);
    input.bytes = await reader.peek(maxBlockBytes);
    input.position = 0;
  }
  if (decoder.reader.read(32) >>> 0 !== decoder.streamCRC) throw new Error('its checksum is wrong');
  await reader.read(input.position);
}

class BlockInput {
  bytes: Buffer;
  position = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  readByte(): number {
    const byte = this.bytes[this.position++];
    if (byte === undefined) throw new Error('it ends too early');
    return byte;
  }

  read(target: Buffer, offset: number, length: number): number {
    const end = Math.min(this.position + length, this.bytes.length);
    const count = this.bytes.copy(target, offset, this.position, end);
    this.position += count;
    return count;
  }
}

class BlockOutput {
  #full: Buffer[] = [];
  #current = Buffer.allocUnsafe(outputBytes);
  #used = 0;

  writeByte(byte: number): void {
    if (this.#used === outputBytes) {
      this.#full.push(this.#current);
      this.#current = Buffer.allocUnsafe(outputBytes);
      this.#used = 0;
    }
    this.#current[this.#used++] = byte;
  }

  /** What was written since the last call. */
  take(): Buffer[] {
    const taken = [...this.#full, this.#current.subarray(0, this.#used)];
    this.#full = [];
    this.#current = Buffer.allocUnsafe(outputBytes);
    this.#used = 0;
    return taken;
  }
}
