/**
 * bzip2, several blocks at once. A mark may also stand in the middle of a block by chance, or because somebody put it
 * there: then what lies before it is no block, and is tried again up to the next mark.
 */
import {setImmediate} from 'node:timers/promises';
import {
  Bzip2Group,
  type Bzip2Mark,
  type Bzip2Span,
  bzip2Beside,
  findBzip2Mark,
} from '../../sys/bzip2-decoder.ts';
import {BitWindow} from './bit-window.ts';
import {Bzip2Rooms} from './bzip2-rooms.ts';
import type {OutputBuffers} from './output-buffers.ts';

const headBits = 32;
const markBits = 48;
const checksumBits = 32;
const bytesOfLevel = 100_000;
/** More than the largest block: 900,000 symbols of at most 20 bits, and its tables. */
const maxBlockBits = 2_400_000 * 8;
/** In one block; the chance of a single one in a whole disk is less than one in a hundred thousand. */
const maxFalseMarks = 8;
/** After so many outputs other work has its turn: the next groups are begun. Of zeros a block has two hundred. */
const outputsPerTurn = 4;

/** Decodes any number of streams; anything else behind them is an error. */
export async function* decodeInParallel(
  source: AsyncIterable<Buffer>,
  buffers: OutputBuffers,
): AsyncGenerator<Buffer> {
  const window = new BitWindow(source);
  const rooms = new Bzip2Rooms();
  const output = new Output(buffers);
  try {
    for (let bit = 0; ; ) {
      const head = (await window.bytesAt(bit, headBits / 8)).toString('latin1');
      if (head === '' && bit > 0) break;
      if (!/^BZh[1-9]$/.test(head))
        throw new Error(bit > 0 ? 'there is other data after the end' : 'it does not begin as bzip2');
      const stream = new Stream(window, {rooms, output, maxTextBytes: Number(head.at(-1)) * bytesOfLevel});
      yield* stream.decode(bit + headBits);
      bit = stream.endBit;
    }
    yield output.rest();
  } finally {
    rooms.close();
    await window.close();
  }
}

/** Blocks that are decoded in one step. */
interface Running {
  spans: Bzip2Span[];
  /** And how many of them, from the first on, are good. */
  decoded: Promise<{group: Bzip2Group; good: number}>;
}

interface StreamOptions {
  rooms: Bzip2Rooms;
  output: Output;
  maxTextBytes: number;
}

/** Buffers are filled whatever the blocks: who looks back counts on their size. */
class Output {
  readonly #buffers: OutputBuffers;
  #buffer: Buffer;
  #used = 0;

  constructor(buffers: OutputBuffers) {
    this.#buffers = buffers;
    this.#buffer = buffers.next();
  }

  /** What is made is written behind what is there; undefined if that was not enough to fill it. */
  fill(expand: (room: Buffer) => number): Buffer | undefined {
    this.#used += expand(this.#buffer.subarray(this.#used));
    if (this.#used < this.#buffer.length) return undefined;
    const full = this.#buffer;
    this.#buffer = this.#buffers.next();
    this.#used = 0;
    return full;
  }

  rest(): Buffer {
    return this.#buffer.subarray(0, this.#used);
  }
}

class Stream {
  /** Where the next one may begin. */
  endBit = 0;
  readonly #window: BitWindow;
  readonly #options: StreamOptions;
  /** In their order. */
  #running: Running[] = [];
  /** Begins the next block, or ends the stream. */
  #frontier: Bzip2Mark = {bit: 0, isEnd: false};
  /** Why there is no block at the frontier; it matters once all before it is out. */
  #failure: unknown;
  #checksum = 0;

  constructor(window: BitWindow, options: StreamOptions) {
    this.#window = window;
    this.#options = options;
  }

  async *decode(startBit: number): AsyncGenerator<Buffer> {
    this.#frontier = await this.#nextMark(startBit, startBit);
    try {
      for (;;) {
        await this.#fill();
        const head = this.#running[0];
        if (!head) break;
        const {group, good} = await head.decoded;
        for (let index = 0; index < good; index++) {
          yield* this.#expand(group, index);
          await this.#count(head.spans[index] as Bzip2Span);
        }
        const bad = head.spans[good];
        if (bad) yield* this.#extend(bad);
        else this.#running.shift();
      }
      if (this.#failure) throw this.#failure;
    } finally {
      await this.#settle();
    }
    await this.#checkEnd();
  }

  async #fill(): Promise<void> {
    while (this.#running.length < this.#options.rooms.groups && !this.#frontier.isEnd && !this.#failure) {
      const spans: Bzip2Span[] = [];
      try {
        while (spans.length < bzip2Beside && !this.#frontier.isEnd) {
          const fromBit = this.#frontier.bit;
          const to = await this.#nextMark(fromBit + markBits + checksumBits, fromBit + maxBlockBits);
          spans.push({fromBit, toBit: to.bit});
          this.#frontier = to;
        }
      } catch (error) {
        this.#failure = error;
      }
      if (spans.length > 0) this.#running.push(this.#start(spans));
    }
  }

  #start(spans: Bzip2Span[]): Running {
    const {bytes, firstBit} = this.#window.part;
    const inside = spans.map(({fromBit, toBit}) => ({fromBit: fromBit - firstBit, toBit: toBit - firstBit}));
    const decoded = this.#options.rooms.use(async (room) => {
      const group = new Bzip2Group(room, bytes, inside, this.#options.maxTextBytes);
      return {group, good: await group.good};
    });
    decoded.catch(() => undefined); // it is awaited at its turn, or nobody is interested any more
    return {spans, decoded};
  }

  async *#expand(group: Bzip2Group, index: number): AsyncGenerator<Buffer> {
    for (let outputs = 1; ; outputs++) {
      const bytes = this.#options.output.fill((room) => group.expand(index, room) ?? fail(damaged()));
      if (!bytes) return;
      yield bytes;
      if (outputs % outputsPerTurn === 0) await this.#turn();
    }
  }

  /** Its end was none, and what was taken for the blocks behind it either. */
  async *#extend({fromBit, toBit}: Bzip2Span): AsyncGenerator<Buffer> {
    await this.#settle();
    this.#failure = undefined;
    let searchBit = toBit + 1;
    for (let falseMarks = 0; falseMarks < maxFalseMarks; falseMarks++) {
      const to = await this.#nextMark(searchBit, fromBit + maxBlockBits, damaged);
      const span = {fromBit, toBit: to.bit};
      const {group, good} = await this.#start([span]).decoded;
      searchBit = to.bit + 1;
      if (good === 0) continue;
      this.#frontier = to;
      yield* this.#expand(group, 0);
      await this.#count(span);
      return;
    }
    throw damaged();
  }

  async #settle(): Promise<void> {
    for (const {decoded} of this.#running.splice(0)) await decoded.catch(() => undefined);
  }

  async #nextMark(fromBit: number, lastBit: number, atEnd = cutShort): Promise<Bzip2Mark> {
    for (let searchBit = fromBit; ; ) {
      const {bytes, firstBit} = this.#window.part;
      const found = findBzip2Mark(bytes, searchBit - firstBit);
      const bit = found && found.bit + firstBit;
      if (found && bit !== undefined && bit <= lastBit) return {...found, bit};
      searchBit = Math.max(fromBit, this.#window.endBit - markBits + 1);
      if (found || searchBit > lastBit) throw damaged();
      if (!(await this.#window.grow())) throw atEnd();
    }
  }

  async #count({fromBit, toBit}: Bzip2Span): Promise<void> {
    const checksum = (await this.#window.numberAt(fromBit + markBits)) ?? 0;
    this.#checksum = (((this.#checksum << 1) | (this.#checksum >>> 31)) ^ checksum) >>> 0;
    this.#window.dropBefore(toBit);
    await this.#turn();
  }

  /** Lets what has ended come in, and begins what may run. */
  async #turn(): Promise<void> {
    await setImmediate();
  }

  async #checkEnd(): Promise<void> {
    const bit = this.#frontier.bit + markBits;
    const checksum = await this.#window.numberAt(bit);
    if (checksum === undefined) throw cutShort();
    if (checksum !== this.#checksum) throw damaged();
    this.endBit = Math.ceil((bit + checksumBits) / 8) * 8;
  }
}

function fail(error: Error): never {
  throw error;
}

function damaged(): Error {
  return new Error('it holds damaged data');
}

function cutShort(): Error {
  return new Error('it ends too early');
}
