/** Transfers and stored images as importctl lists them (spec/importctl.md §6, §7). */

import {
  canCancel,
  type Engine,
  type ImageStore,
  type StoredImage,
  type TransferSummary,
} from '../engine/engine.ts';
import {ImgctlError} from '../errors.ts';
import type {ImageClass} from '../import1/image-class.ts';

/** By local name, then id. */
export async function listTransfers(
  engine: Engine,
  imageClass: ImageClass | undefined,
): Promise<TransferSummary[]> {
  const transfers = await engine.listTransfers();
  return transfers
    .filter((transfer) => !imageClass || transfer.imageClass === imageClass)
    .sort((a, b) => compare(a.localName, b.localName) || a.id - b.id);
}

/** Stops at the first id that is none. */
export async function cancelTransfers(
  engine: Engine,
  words: readonly string[],
): Promise<{action: 'canceled'; ids: number[]}> {
  const ids: number[] = [];
  for (const word of words) {
    const id = parseId(word);
    if (!canCancel(engine))
      throw new ImgctlError('NotSupported', `the ${engine.name} engine cannot cancel transfers`);
    if (id === 0) throw new ImgctlError('InvalidArgument', 'Could not cancel transfer: Invalid transfer id');
    if (!(await engine.cancelTransfer(id))) {
      throw new ImgctlError('InvalidArgument', `Could not cancel transfer: No transfer by id ${id}`);
    }
    ids.push(id);
  }
  return {action: 'canceled', ids};
}

function parseId(word: string): number {
  const id = Number(word);
  if (/^[0-9]+$/.test(word) && id <= 0xffffffff) return id;
  throw new ImgctlError('Usage', `Failed to parse transfer id: ${word}`);
}

/** By class, then name; with the host itself as importctl has it. */
export async function listStoredImages(
  engine: Engine,
  stores: readonly ImageStore[],
  imageClass: ImageClass | undefined,
): Promise<StoredImage[]> {
  const wanted = stores.filter((store) => !imageClass || store.imageClass === imageClass);
  const lists = await Promise.all(wanted.map((store) => engine.listImages(store, {withHidden: true})));
  return lists.flat().sort((a, b) => compare(a.imageClass, b.imageClass) || compare(a.name, b.name));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
