/** Blocks of bzip2, found at any bit and decoded by the system's libbz2, each on another thread. */
import {type Bzip2Handle, native} from './native.ts';

const streamEnd = 4; // BZ_STREAM_END of bzlib.h
const more = 0; // BZ_OK

export interface Bzip2Mark {
  /** Where it begins. */
  bit: number;
  /** The end of a stream, else the beginning of a block. */
  isEnd: boolean;
}

/** False where the library is not installed. */
export function hasBzip2Library(): boolean {
  return native().bzip2Library();
}

/** The first thing that looks like a mark at or behind a bit and lies wholly inside. */
export function findBzip2Mark(bytes: Buffer, fromBit: number): Bzip2Mark | undefined {
  const found = native().bzip2Find(bytes, fromBit);
  return found < 0 ? undefined : {bit: Math.floor(found / 2), isEnd: found % 2 === 1};
}

/** What lies between two marks, decoded. The bytes are copied. */
export class Bzip2Block {
  readonly #handle: Bzip2Handle;
  readonly #report = Buffer.alloc(4);

  constructor(bytes: Buffer, fromBit: number, toBit: number) {
    const handle = native().bzip2Open(bytes, fromBit, toBit);
    if (!handle) throw new Error('There is no memory to decode bzip2');
    this.#handle = handle;
  }

  /** Fills the output, or ends; what is no whole block is damaged. One step at a time. */
  async step(output: Buffer): Promise<{made: number; state: 'more' | 'end' | 'damaged'}> {
    const result = await native().bzip2Step(this.#handle, output, this.#report);
    const made = this.#report.readUInt32LE(0);
    if (result === streamEnd) return {made, state: 'end'};
    // It wants input where there is none.
    const isStuck = made < output.length;
    return {made, state: result === more && !isStuck ? 'more' : 'damaged'};
  }
}
