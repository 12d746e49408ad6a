/**
 * bzip2 by the library of the system, several blocks at once. A mark may also stand in the middle of a block by chance, or
 * because somebody put it there: then what lies before it is no block, and is tried again up to the next mark.
 */
import {availableParallelism} from 'node:os';
import {Bzip2Block, type Bzip2Mark, findBzip2Mark} from '../../sys/bzip2-decoder.ts';
import {BitWindow} from './bit-window.ts';

/** One more than cores was no faster. Each takes 6 MiB, and all memory of a command has a limit (design.md §8). */
const maxRunning = Math.min(availableParallelism(), 8);
const headBits = 32;
const markBits = 48;
const checksumBits = 32;
/** More than the largest block: 900,000 symbols of at most 20 bits, and its tables. */
const maxBlockBits = 2_400_000 * 8;
/** In one block; the chance of a single one in a whole disk is less than one in a hundred thousand. */
const maxFalseMarks = 8;
const outputBytes = 256 * 1024;
/** So many outputs are made before a block is at its turn: of zeros a block has two hundred. */
const maxAhead = 6;

/** Decodes any number of streams; anything else behind them is an error. */
export async function* decodeBySystem(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const window = new BitWindow(source);
  try {
    for (let bit = 0; ; ) {
      const head = await window.bytesAt(bit, headBits / 8);
      if (head.length === 0 && bit > 0) return;
      if (!/^BZh[1-9]$/.test(head.toString('latin1')))
        throw new Error(bit > 0 ? 'there is other data after the end' : 'it does not begin as bzip2');
      const stream = new Stream(window);
      yield* stream.decode(bit + headBits);
      bit = stream.endBit;
    }
  } finally {
    await window.close();
  }
}

interface Ahead {
  outputs: Buffer[];
  state: 'more' | 'end' | 'damaged';
}

interface Running {
  fromBit: number;
  /** Of what follows it. */
  to: Bzip2Mark;
  block: Bzip2Block;
  ahead: Promise<Ahead>;
}

class Stream {
  /** Where the next one may begin. */
  endBit = 0;
  readonly #window: BitWindow;
  /** In their order. */
  #running: Running[] = [];
  /** Begins the next block, or ends the stream. */
  #frontier: Bzip2Mark = {bit: 0, isEnd: false};
  #checksum = 0;

  constructor(window: BitWindow) {
    this.#window = window;
  }

  async *decode(startBit: number): AsyncGenerator<Buffer> {
    this.#frontier = await this.#nextMark(startBit, startBit);
    try {
      for (let falseMarks = 0; ; ) {
        await this.#fill();
        const head = this.#running[0];
        if (!head) break;
        if ((await head.ahead).state === 'damaged') {
          if (++falseMarks > maxFalseMarks) throw damaged();
          await this.#extend(head);
          continue;
        }
        falseMarks = 0;
        yield* outputsOf(head);
        await this.#count(head);
        this.#running.shift();
      }
    } finally {
      await this.#settle();
    }
    await this.#checkEnd();
  }

  async #fill(): Promise<void> {
    while (this.#running.length < maxRunning && !this.#frontier.isEnd) {
      const fromBit = this.#frontier.bit;
      await this.#start(fromBit, fromBit + markBits + checksumBits);
    }
  }

  /** A block that ends at the first mark from a bit on. */
  async #start(fromBit: number, searchBit: number, atEnd = cutShort): Promise<void> {
    const to = await this.#nextMark(searchBit, fromBit + maxBlockBits, atEnd);
    this.#frontier = to;
    const {bytes, firstBit} = this.#window.part;
    const block = new Bzip2Block(bytes, fromBit - firstBit, to.bit - firstBit);
    this.#running.push({fromBit, to, block, ahead: decodeAhead(block)});
  }

  /** What was taken for the blocks behind it is none. */
  async #extend({fromBit, to}: Running): Promise<void> {
    await this.#settle();
    this.#running = [];
    await this.#start(fromBit, to.bit + 1, damaged);
  }

  async #settle(): Promise<void> {
    for (const {ahead} of this.#running) await ahead;
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

  async #count({fromBit, to}: Running): Promise<void> {
    const checksum = (await this.#window.numberAt(fromBit + markBits)) ?? 0;
    this.#checksum = (((this.#checksum << 1) | (this.#checksum >>> 31)) ^ checksum) >>> 0;
    this.#window.dropBefore(to.bit);
  }

  async #checkEnd(): Promise<void> {
    const bit = this.#frontier.bit + markBits;
    const checksum = await this.#window.numberAt(bit);
    if (checksum === undefined) throw cutShort();
    if (checksum !== this.#checksum) throw damaged();
    this.endBit = Math.ceil((bit + checksumBits) / 8) * 8;
  }
}

async function decodeAhead(block: Bzip2Block): Promise<Ahead> {
  const outputs: Buffer[] = [];
  for (;;) {
    const output = Buffer.allocUnsafeSlow(outputBytes);
    const {made, state} = await block.step(output);
    outputs.push(output.subarray(0, made));
    if (state !== 'more' || outputs.length === maxAhead) return {outputs, state};
  }
}

async function* outputsOf({block, ahead}: Running): AsyncGenerator<Buffer> {
  const first = await ahead;
  yield* first.outputs;
  for (let {state} = first; state !== 'end'; ) {
    const output = Buffer.allocUnsafeSlow(outputBytes);
    const step = await block.step(output);
    ({state} = step);
    if (state === 'damaged') throw damaged();
    yield output.subarray(0, step.made);
  }
}

function damaged(): Error {
  return new Error('libbz2 reports damaged data');
}

function cutShort(): Error {
  return new Error('it ends too early');
}
