/** One object of a dataset, and the two places outside of memory where its bytes are. */
import {readUint64} from './fields.ts';

/** A file that only grows, for what is too much for memory. */
export interface Scratch {
  /** Returns where the bytes are. */
  append(bytes: Buffer): number;
  read(at: number, length: number): Buffer;
}

/** Takes the contents of plain files and volumes. Bytes are valid only during the call. */
export interface ContentSink {
  write(object: number, offset: number, bytes: Buffer): void;
  /** Makes a range zeros; it may reach beyond everything. */
  free(object: number, offset: number, length: number): void;
  /** The object is gone, or another one has its number. */
  drop(object: number): void;
}

/** Bytes in the scratch file. */
export interface Piece {
  at: number;
  length: number;
}

export class ZfsObject {
  type = 0;
  bonusType = 0;
  blockSize = 0;
  slots = 0;
  bonus: Piece | undefined = undefined;
  spill: Piece | undefined = undefined;
  /** By offset; of objects whose contents are kept here. */
  blocks: Map<number, Piece> | undefined = undefined;
  /** For the walk through the tree. */
  isReached = false;
}

export function blockTable(): Map<number, Piece> {
  return new Map();
}

export const attributesMagic = 0x2f505a;
const oldGenerationAt = 64;

/** The same generation of a file, told by its old and new bonus buffers without knowing their layout. */
export function isSameFile(old: Buffer, now: Buffer): boolean {
  const generation = generationOf(old);
  return generation !== undefined && generation === generationOf(now);
}

function generationOf(bonus: Buffer): number | undefined {
  const isNew = bonus.length >= 8 && bonus.readUInt32LE(0) === attributesMagic;
  const at = isNew ? (bonus.readUInt16LE(4) >>> 10) * 8 + 16 : oldGenerationAt;
  return at + 8 <= bonus.length ? readUint64(bonus, at) : undefined;
}
