/** Blocks of bzip2, found at any bit and decoded on other threads. */
import {constants} from 'node:os';
import {type Bzip2GroupHandle, type Bzip2RoomHandle, checked, native} from './native.ts';

export interface Bzip2Mark {
  /** Where it begins. */
  bit: number;
  /** The end of a stream, else the beginning of a block. */
  isEnd: boolean;
}

/** From the bit of a block's mark to that of the next. */
export interface Bzip2Span {
  fromBit: number;
  toBit: number;
}

/** The first thing that looks like a mark at or behind a bit and lies wholly inside. */
export function findBzip2Mark(bytes: Buffer, fromBit: number): Bzip2Mark | undefined {
  const found = native().bzip2Find(bytes, fromBit);
  return found < 0 ? undefined : {bit: Math.floor(found / 2), isEnd: found % 2 === 1};
}

/** How many blocks a group has at most. */
export const bzip2Beside = 2;

/** 10 MiB to decode in, for one group at a time. */
export class Bzip2Room {
  readonly handle: Bzip2RoomHandle;

  constructor() {
    const handle = native().bzip2Room();
    if (!handle) throw noMemory();
    this.handle = handle;
  }

  /** Nothing may use it any more. */
  close(): void {
    native().bzip2RoomEnd(this.handle);
  }
}

/** Blocks that follow each other, decoded together. The bytes stay as they are until that is done. */
export class Bzip2Group {
  /** How many from the first on are blocks that end where they should. */
  readonly good: Promise<number>;
  readonly #handle: Bzip2GroupHandle;

  /** A block has no more bytes than `maxTextBytes` before runs are expanded, by the level of its stream. */
  constructor(room: Bzip2Room, bytes: Buffer, spans: readonly Bzip2Span[], maxTextBytes: number) {
    const pairs = Buffer.from(new Float64Array(spans.flatMap(({fromBit, toBit}) => [fromBit, toBit])).buffer);
    const [handle, good] = native().bzip2Decode(room.handle, bytes, pairs, maxTextBytes);
    this.#handle = handle;
    this.good = good.then((count) => {
      if (count < 0) throw noMemory();
      return count;
    });
  }

  /** Goes on with a good block: fills the output, or ends with less; undefined if its checksum was wrong. */
  expand(index: number, output: Buffer): number | undefined {
    const made = native().bzip2Expand(this.#handle, index, output);
    return made === -constants.errno.EBADMSG ? undefined : checked(made, 'bzip2Expand');
  }
}

function noMemory(): Error {
  return new Error('There is no memory to decode bzip2');
}
