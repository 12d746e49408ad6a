/**
 * One record's header as fields, checked against the limits of the format (spec/zfs-send-stream.md §1, §6.8), so
 * that nobody after this has to ask whether a number is sane.
 */
import {type Begin, parseBegin, payloadLengthOf} from './begin.ts';
import {readUint64} from './fields.ts';
import {invalidStream, unsupportedStream} from './zfs-errors.ts';

export interface ObjectRecord {
  type: 'object';
  object: number;
  objectType: number;
  bonusType: number;
  blockSize: number;
  bonusLength: number;
  slots: number;
  hasSpill: boolean;
}

export interface WriteRecord {
  type: 'write';
  object: number;
  offset: number;
  logicalSize: number;
  compression: number;
}

export interface EmbeddedRecord {
  type: 'embedded';
  object: number;
  /** Undefined: it is the object's spill buffer. */
  offset: number | undefined;
  /** Of the range; bytes behind the logical size are zeros. */
  length: number;
  logicalSize: number;
  compression: number;
  physicalSize: number;
}

export interface SpillRecord {
  type: 'spill';
  object: number;
  length: number;
  compression: number;
  /** A repeat for readers that do not know spill flags. */
  isUnmodified: boolean;
}

/** A range of a file that became zeros; it may reach beyond every number. */
export interface FreeRecord {
  type: 'free';
  object: number;
  offset: number;
  length: number;
}

export interface FreeObjectsRecord {
  type: 'free objects';
  first: number;
  count: number;
}

export type RecordHeader =
  | Begin
  | {type: 'end'}
  | ObjectRecord
  | WriteRecord
  | EmbeddedRecord
  | SpillRecord
  | FreeRecord
  | FreeObjectsRecord;

export interface ParsedHeader {
  record: RecordHeader;
  payloadLength: number;
}

export const headerBytes = 312;

const maxObject = 2 ** 48;
const maxOffset = Number.MAX_SAFE_INTEGER;
const minBlockBytes = 512;
const maxBlockBytes = 16 * 1024 * 1024;
const maxBonusBytes = 16 * 1024;
const maxEmbeddedBytes = 112;
const maxBeginBytes = 8 * 1024 * 1024;
const unmodified = 4;
const hasSpillFlag = 4;

const parsers: Record<number, (header: Buffer) => ParsedHeader> = {
  0: parseBeginRecord,
  1: parseObject,
  2: parseFreeObjects,
  3: parseWrite,
  4: parseFree,
  5: () => ({record: {type: 'end'}, payloadLength: 0}),
  6: () => refuse('is deduplicated (zfs send -D)'),
  7: parseSpill,
  8: parseEmbedded,
  9: () => refuse('is encrypted (zfs send --raw)'),
  10: () => refuse('is redacted'),
};

export function parseHeader(header: Buffer): ParsedHeader {
  const type = header.readUInt32LE(0);
  const parse = parsers[type];
  if (!parse) throw invalidStream(`it has a record of type ${type}`);
  return parse(header);
}

function refuse(what: string): never {
  throw unsupportedStream(what, 'Send it again without this: plain "zfs send DATASET@SNAPSHOT"');
}

function parseBeginRecord(header: Buffer): ParsedHeader {
  const record = parseBegin(header);
  const payloadLength = payloadLengthOf(header);
  if (payloadLength > maxBeginBytes)
    throw invalidStream(`a begin record has ${payloadLength} bytes of payload`);
  return {record, payloadLength};
}

function parseObject(header: Buffer): ParsedHeader {
  const blockSize = header.readUInt32LE(24);
  const bonusLength = header.readUInt32LE(28);
  const object = objectOf(header, 8);
  if (blockSize < minBlockBytes || blockSize > maxBlockBytes || blockSize % minBlockBytes !== 0)
    throw invalidStream(`object ${object} has blocks of ${blockSize} bytes`);
  if (bonusLength > maxBonusBytes)
    throw invalidStream(`object ${object} has a bonus of ${bonusLength} bytes`);
  if (header.readUInt32LE(36) !== 0) refuse('is encrypted (zfs send --raw)');
  const record: ObjectRecord = {
    type: 'object',
    object,
    objectType: header.readUInt32LE(16),
    bonusType: header.readUInt32LE(20),
    blockSize,
    bonusLength,
    slots: header.readUInt8(34) || 1,
    hasSpill: (header.readUInt8(35) & hasSpillFlag) !== 0,
  };
  return {record, payloadLength: roundedUp(bonusLength)};
}

function parseWrite(header: Buffer): ParsedHeader {
  const logicalSize = readUint64(header, 32);
  const compressedSize = readUint64(header, 96);
  const compression = header.readUInt8(50);
  const object = objectOf(header, 8);
  if (logicalSize === 0 || logicalSize > maxBlockBytes || compressedSize > logicalSize)
    throw invalidStream(`a block of object ${object} has ${compressedSize} of ${logicalSize} bytes`);
  const offset = offsetOf(header, 24, object);
  return {
    record: {type: 'write', object, offset, logicalSize, compression},
    payloadLength: compression === 0 ? logicalSize : compressedSize,
  };
}

function parseEmbedded(header: Buffer): ParsedHeader {
  const object = objectOf(header, 8);
  const length = readUint64(header, 24);
  const logicalSize = header.readUInt32LE(48);
  const physicalSize = header.readUInt32LE(52);
  if (header.readUInt8(41) !== 0)
    throw invalidStream(`an embedded block of object ${object} is of an unknown kind`);
  if (
    physicalSize > maxEmbeddedBytes ||
    logicalSize > maxBlockBytes ||
    length > maxBlockBytes ||
    logicalSize > length
  )
    throw invalidStream(`an embedded block of object ${object} has ${physicalSize} of ${logicalSize} bytes`);
  // Block number -2 is the spill buffer (section 4); its offset does not fit a number.
  const isSpill = length > 0 && header.readBigUInt64LE(16) === 2n ** 64n - 2n * BigInt(length);
  const offset = isSpill ? undefined : offsetOf(header, 16, object);
  const compression = header.readUInt8(40);
  return {
    record: {type: 'embedded', object, offset, length, logicalSize, compression, physicalSize},
    payloadLength: roundedUp(physicalSize),
  };
}

function parseSpill(header: Buffer): ParsedHeader {
  const object = objectOf(header, 8);
  const length = readUint64(header, 16);
  const compressedSize = readUint64(header, 40);
  if (length < minBlockBytes || length > maxBlockBytes || compressedSize > length)
    throw invalidStream(`the spill block of object ${object} has ${compressedSize} of ${length} bytes`);
  const isUnmodified = (header.readUInt8(32) & unmodified) !== 0;
  const compression = compressedSize === 0 ? 0 : header.readUInt8(33);
  return {
    record: {type: 'spill', object, length, compression, isUnmodified},
    payloadLength: compressedSize || length,
  };
}

function parseFree(header: Buffer): ParsedHeader {
  const record: FreeRecord = {
    type: 'free',
    object: objectOf(header, 8),
    offset: readUint64(header, 16),
    length: readUint64(header, 24),
  };
  return {record, payloadLength: 0};
}

function parseFreeObjects(header: Buffer): ParsedHeader {
  const record: FreeObjectsRecord = {
    type: 'free objects',
    first: readUint64(header, 8),
    count: readUint64(header, 16),
  };
  return {record, payloadLength: 0};
}

function objectOf(header: Buffer, at: number): number {
  const object = readUint64(header, at);
  if (object >= maxObject) throw invalidStream(`it has an object number of ${object}`);
  return object;
}

function offsetOf(header: Buffer, at: number, object: number): number {
  const offset = readUint64(header, at);
  if (offset > maxOffset - maxBlockBytes) throw invalidStream(`object ${object} has a block at ${offset}`);
  return offset;
}

function roundedUp(length: number): number {
  return Math.ceil(length / 8) * 8;
}
