import type {Dataset} from './dataset.ts';
import {zapNumbers} from './objects-view.ts';
import {invalidStream} from './zfs-errors.ts';

const propertiesObject = 2;

/** Object of a volume that holds its bytes (spec/zfs-send-stream.md §5). */
export const volumeObject = 1;

/** Size of the disk, once the whole stream was applied. */
export function volumeSize(dataset: Dataset): number {
  const size = zapNumbers(dataset, propertiesObject, 'the table of properties').get('size');
  if (size === undefined || !Number.isSafeInteger(size)) throw invalidStream('a volume has no size');
  return size;
}
