/** Names and values of a ZAP object, in both of its forms (spec/zfs-send-stream.md §6.2). Nothing in it is believed. */
import {readUint64} from './fields.ts';
import {invalidStream} from './zfs-errors.ts';

export interface ZapEntry {
  name: Buffer;
  /** Integers in big-endian, one after another. */
  value: Buffer;
  integerBytes: number;
}

/** The blocks of an object; undefined where there is a hole. */
export interface ZapBlocks {
  object: number;
  blockSize: number;
  /** In rising order. */
  offsets: readonly number[];
  read(offset: number): Buffer | undefined;
}

const high = 0x80000000;
const microKind = 3;
const fatKind = 1;
const leafKind = 0;
const fatMagic = 0x2f52ab2ab;
const leafMagic = 0x2ab1eaf;
const microEntryBytes = 64;
const chunkBytes = 24;
const arrayBytes = 21;
const entryKind = 252;
const arrayKind = 251;
const chainEnd = 0xffff;
/** A name of 255 bytes and its NUL. */
const longestName = 256;

export function* readZap(blocks: ZapBlocks): Generator<ZapEntry> {
  const first = blocks.read(0);
  if (!first || first.length < 2 * microEntryBytes || first.readUInt32LE(4) !== high)
    throw invalid(blocks, 'it has no beginning');
  const kind = first.readUInt32LE(0);
  if (kind === microKind) yield* microEntries(first);
  else if (kind === fatKind) yield* fatEntries(blocks, first);
  else throw invalid(blocks, 'it is of an unknown kind');
}

/** The number that a value is, where it is one of 64 bits. */
export function numberOf({value, integerBytes}: ZapEntry): number | undefined {
  if (integerBytes !== 8 || value.length !== 8) return undefined;
  return value.readUInt32BE(0) * 2 ** 32 + value.readUInt32BE(4);
}

function* microEntries(block: Buffer): Generator<ZapEntry> {
  for (let at = microEntryBytes; at + microEntryBytes <= block.length; at += microEntryBytes) {
    const field = block.subarray(at + 14, at + microEntryBytes);
    const end = field.indexOf(0);
    if (end === 0) continue;
    const name = Buffer.from(end < 0 ? field : field.subarray(0, end));
    yield {name, value: Buffer.from(block.subarray(at, at + 8)).swap64(), integerBytes: 8};
  }
}

/** All leaves, wherever the table has them; the count in the first block shows that none is missing or stale. */
function* fatEntries(blocks: ZapBlocks, first: Buffer): Generator<ZapEntry> {
  if (readUint64(first, 8) !== fatMagic) throw invalid(blocks, 'its first block has no magic');
  const expected = readUint64(first, 72);
  let found = 0;
  for (const offset of blocks.offsets) {
    const block = offset === 0 ? undefined : blocks.read(offset);
    if (!block || !isLeaf(block)) continue;
    for (const entry of new Leaf(blocks, block).entries()) {
      found++;
      yield entry;
    }
  }
  if (found !== expected) throw invalid(blocks, `it has ${found} entries instead of ${expected}`);
}

function isLeaf(block: Buffer): boolean {
  if (block.length < 1024 || block.readUInt32LE(0) !== leafKind || block.readUInt32LE(4) !== high)
    return false;
  return block.readUInt32LE(24) === leafMagic;
}

class Leaf {
  readonly #blocks: ZapBlocks;
  readonly #chunks: Buffer;
  readonly #count: number;
  /** In a good leaf every chunk is used once at most; so no chain can make this long or endless. */
  #budget: number;

  constructor(blocks: ZapBlocks, block: Buffer) {
    const size = blocks.blockSize;
    if (block.length !== size) throw invalid(blocks, `a block has ${block.length} bytes instead of ${size}`);
    this.#blocks = blocks;
    this.#chunks = block.subarray(48 + size / 16);
    this.#count = Math.floor((size - size / 16) / chunkBytes) - 2;
    this.#budget = this.#count;
  }

  *entries(): Generator<ZapEntry> {
    for (let index = 0; index < this.#count; index++) {
      const chunk = this.#chunk(index);
      if (chunk[0] !== entryKind) continue;
      const integerBytes = chunk.readUInt8(1);
      const nameLength = chunk.readUInt16LE(6);
      if (nameLength === 0 || nameLength > longestName) throw this.#invalid(`a name has ${nameLength} bytes`);
      const name = this.#chain(chunk.readUInt16LE(4), nameLength);
      if (name.indexOf(0) !== nameLength - 1) throw this.#invalid('a name does not end where it should');
      const value = this.#chain(chunk.readUInt16LE(8), chunk.readUInt16LE(10) * integerBytes);
      yield {name: name.subarray(0, -1), value, integerBytes};
    }
  }

  #chain(first: number, length: number): Buffer {
    const parts: Buffer[] = [];
    for (let index = first, left = length; left > 0; left -= arrayBytes) {
      if (index === chainEnd) throw this.#invalid('a chain is too short');
      if (--this.#budget < 0) throw this.#invalid('its chains share their parts');
      const chunk = this.#chunk(index);
      if (chunk[0] !== arrayKind) throw this.#invalid('a chain leads to something else');
      parts.push(chunk.subarray(1, 1 + Math.min(left, arrayBytes)));
      index = chunk.readUInt16LE(22);
    }
    return Buffer.concat(parts, length);
  }

  #chunk(index: number): Buffer {
    if (index >= this.#count) throw this.#invalid(`it refers to part ${index} of ${this.#count}`);
    return this.#chunks.subarray(index * chunkBytes, (index + 1) * chunkBytes);
  }

  #invalid(reason: string) {
    return invalid(this.#blocks, reason);
  }
}

function invalid({object}: ZapBlocks, reason: string) {
  return invalidStream(`directory object ${object} is damaged: ${reason}`);
}
