/**
 * What a stream says, kept as objects (spec/zfs-send-stream.md §4): descriptions and the contents of directories and
 * tables go to a scratch file, contents of plain files and volumes go straight to their place. Streams are applied
 * one after another, each over the snapshot that it was made from.
 */
import type {Begin} from './begin.ts';
import {decompressBlock} from './decompress-block.ts';
import type {EmbeddedRecord, FreeRecord, ObjectRecord, SpillRecord, WriteRecord} from './record.ts';
import type {StreamRecord} from './record-reader.ts';
import {invalidStream, otherOrigin, tooLargeStream, unsupportedStream} from './zfs-errors.ts';
import {blockTable, type ContentSink, isSameFile, type Piece, type Scratch, ZfsObject} from './zfs-object.ts';

export interface DatasetLimits {
  /** Of everything that is written, decompressed. */
  maxBytes: number;
  /** What is kept in memory grows with these. */
  maxObjects: number;
  /** Objects and blocks that records may make this look at. */
  maxSearches?: number;
}

/** Contents go to the sink. */
/** Far more than any sender needs, and done in seconds. */
const defaultMaxSearches = 100_000_000;
const plainFile = 19;
const volumeData = 23;

export class Dataset {
  readonly objects = new Map<number, ZfsObject>();
  readonly scratch: Scratch;
  readonly #contents: ContentSink;
  readonly #limits: DatasetLimits;
  #begin: Begin | undefined;
  #isWhole = false;
  #bytes = 0;
  #pieces = 0;
  #searches = 0;
  /** The greatest number of an object. */
  #last = 0;

  constructor(scratch: Scratch, contents: ContentSink, limits: DatasetLimits) {
    this.scratch = scratch;
    this.#contents = contents;
    this.#limits = limits;
  }

  /** Of the newest snapshot applied. */
  get begin(): Begin {
    if (!this.#begin) throw new Error('Nothing was applied');
    return this.#begin;
  }

  apply({header, payload}: StreamRecord): void {
    if (header.type === 'begin') this.#start(header);
    else if (header.type === 'end') this.#isWhole = true;
    else if (header.type === 'object') this.#describe(header, payload);
    else if (header.type === 'write') this.#write(header, payload);
    else if (header.type === 'embedded') this.#writeEmbedded(header, payload);
    else if (header.type === 'spill') this.#spill(header, payload);
    else if (header.type === 'free') this.#free(header);
    else this.#freeObjects(header.first, header.count);
  }

  /** Fails where the stream starts from another snapshot than the one applied last. */
  #start(begin: Begin): void {
    const last = this.#isWhole ? this.#begin : undefined;
    if (last && begin.fromGuid === undefined)
      throw unsupportedStream('holds several datasets', 'Send one dataset, without "-R"');
    if (begin.fromGuid !== last?.guid) throw otherOrigin(begin.fromGuid, last?.guid);
    if (last && last.kind !== begin.kind) throw otherOrigin(begin.fromGuid, last.guid);
    this.#begin = begin;
    this.#isWhole = false;
  }

  #describe(header: ObjectRecord, payload: Buffer): void {
    const {object: number, bonusLength} = header;
    let object = this.objects.get(number);
    if (object && !this.#isSame(object, header, payload)) {
      this.#drop(number, object);
      object = undefined;
    }
    if (!object) {
      if (this.objects.size >= this.#limits.maxObjects)
        throw tooLargeStream(`it has more than ${this.#limits.maxObjects} objects`);
      object = new ZfsObject();
      this.objects.set(number, object);
      this.#last = Math.max(this.#last, number);
    }
    object.type = header.objectType;
    object.bonusType = header.bonusType;
    object.blockSize = header.blockSize;
    object.slots = header.slots;
    object.bonus = this.#keep(payload.subarray(0, bonusLength));
    // Readers of old streams, which have no spill flags, drop every spill and take the one that follows.
    if (!(this.begin.hasSpillFlags && header.hasSpill)) object.spill = undefined;
  }

  /** Contents stay where an object is only described anew; of a plain file with other blocks, where it is the same file. */
  #isSame(object: ZfsObject, header: ObjectRecord, payload: Buffer): boolean {
    if (object.type !== header.objectType || object.slots !== header.slots) return false;
    if (object.blockSize === header.blockSize) return true;
    return object.type === plainFile && isSameFile(this.#bonusOf(object), payload);
  }

  #bonusOf({bonus}: ZfsObject): Buffer {
    return bonus ? this.scratch.read(bonus.at, bonus.length) : Buffer.alloc(0);
  }

  #write(header: WriteRecord, payload: Buffer): void {
    const {object, offset, logicalSize, compression} = header;
    this.#put(object, offset, () =>
      decompressBlock(payload, compression, logicalSize, `A block of object ${object}`),
    );
  }

  #writeEmbedded(header: EmbeddedRecord, payload: Buffer): void {
    const {object, offset, length, logicalSize, compression, physicalSize} = header;
    const unpack = () => {
      const what = `An embedded block of object ${object}`;
      const bytes = decompressBlock(payload.subarray(0, physicalSize), compression, logicalSize, what);
      return bytes.length === length ? bytes : Buffer.concat([bytes], length);
    };
    if (offset === undefined) this.#get(object).spill = this.#keep(unpack());
    else this.#put(object, offset, unpack);
  }

  #put(number: number, offset: number, unpack: () => Buffer): void {
    const object = this.#get(number);
    const bytes = unpack();
    if (isContents(object)) {
      this.#count(bytes.length);
      this.#contents.write(number, offset, bytes);
      return;
    }
    object.blocks ??= blockTable();
    if (!object.blocks.has(offset)) this.#pieces++;
    if (this.#pieces > this.#limits.maxObjects)
      throw tooLargeStream(`it has more than ${this.#limits.maxObjects} blocks of directories`);
    object.blocks.set(offset, this.#keep(bytes));
  }

  #spill(header: SpillRecord, payload: Buffer): void {
    const {object, length, compression, isUnmodified} = header;
    if (this.begin.hasSpillFlags && isUnmodified) return;
    const what = `The spill block of object ${object}`;
    this.#get(object).spill = this.#keep(decompressBlock(payload, compression, length, what));
  }

  #free({object: number, offset, length}: FreeRecord): void {
    const object = this.objects.get(number);
    if (object && isContents(object)) this.#contents.free(number, offset, length);
    else if (object) this.#freeBlocks(number, object, {start: offset, end: offset + length});
  }

  #freeBlocks(number: number, object: ZfsObject, {start: from, end}: {start: number; end: number}): void {
    this.#search(object.blocks?.size ?? 0);
    for (const [start, {length: bytes}] of object.blocks ?? []) {
      if (start >= from && start + bytes <= end) this.#forget(object, start);
      else if (start < end && start + bytes > from)
        throw invalidStream(`a part of a block of object ${number} is freed`);
    }
  }

  #forget(object: ZfsObject, start: number): void {
    if (object.blocks?.delete(start)) this.#pieces--;
  }

  /** Ranges may name what never was, and may be huge: what is there is gone through where that is less. */
  #freeObjects(first: number, count: number): void {
    if (first > this.#last) return;
    this.#search(Math.min(count, this.objects.size));
    if (count > this.objects.size) {
      for (const [number, object] of this.objects)
        if (number >= first && number < first + count) this.#drop(number, object);
      return;
    }
    for (let number = first; number < first + count; number++) {
      const object = this.objects.get(number);
      if (object) this.#drop(number, object);
    }
  }

  #drop(number: number, object: ZfsObject): void {
    this.#pieces -= object.blocks?.size ?? 0;
    this.objects.delete(number);
    if (isContents(object)) this.#contents.drop(number);
  }

  #get(number: number): ZfsObject {
    const object = this.objects.get(number);
    if (!object) throw invalidStream(`object ${number} is written before it is described`);
    return object;
  }

  #search(steps: number): void {
    this.#searches += steps;
    const {maxSearches = defaultMaxSearches} = this.#limits;
    if (this.#searches > maxSearches) throw tooLargeStream('what it frees takes too long to find');
  }

  #keep(bytes: Buffer): Piece {
    this.#count(bytes.length);
    return {at: this.scratch.append(bytes), length: bytes.length};
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#limits.maxBytes)
      throw tooLargeStream(`it has more than ${this.#limits.maxBytes} bytes of contents`);
  }
}

/** Whether the sink has what is in the object. */
export function isContents({type}: ZfsObject): boolean {
  return type === plainFile || type === volumeData;
}
