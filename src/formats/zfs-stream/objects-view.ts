/** Reading what a dataset keeps of its objects. */
import type {Dataset} from './dataset.ts';
import {numberOf, readZap, type ZapEntry} from './zap.ts';
import {invalidStream} from './zfs-errors.ts';
import type {ZfsObject} from './zfs-object.ts';

export function getObject({objects}: Dataset, number: number, what: string): ZfsObject {
  const object = objects.get(number);
  if (!object) throw invalidStream(`${what} (object ${number}) is missing`);
  return object;
}

export function bonusOf({scratch}: Dataset, {bonus}: ZfsObject): Buffer {
  return bonus ? scratch.read(bonus.at, bonus.length) : Buffer.alloc(0);
}

export function spillOf({scratch}: Dataset, {spill}: ZfsObject): Buffer | undefined {
  return spill ? scratch.read(spill.at, spill.length) : undefined;
}

export function zapEntries(dataset: Dataset, number: number, what: string): Generator<ZapEntry> {
  const object = getObject(dataset, number, what);
  const blocks = object.blocks ?? new Map<number, never>();
  return readZap({
    object: number,
    blockSize: object.blockSize,
    offsets: [...blocks.keys()].sort((a, b) => a - b),
    read: (offset) => {
      const piece = object.blocks?.get(offset);
      return piece && dataset.scratch.read(piece.at, piece.length);
    },
  });
}

/** A small table of numbers by name; other values are left out. */
export function zapNumbers(dataset: Dataset, number: number, what: string): Map<string, number> {
  const numbers = new Map<string, number>();
  for (const entry of zapEntries(dataset, number, what)) {
    const value = numberOf(entry);
    if (value !== undefined) numbers.set(entry.name.toString(), value);
  }
  return numbers;
}
