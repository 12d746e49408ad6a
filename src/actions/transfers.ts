/** Transfers and stored images as importctl lists them (spec/importctl.md §6, §7). */

import type {RecordStore} from '../catalog/records.ts';
import {canCancel} from '../engine/capabilities.ts';
import type {Engine, StoredImage, TransferSummary, Verification} from '../engine/engine.ts';
import {ImgctlError} from '../errors.ts';
import type {ImageClass} from '../import1/image-class.ts';
import type {Pool} from './context.ts';

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

/** By class, then name; with the host itself as importctl has it. `records` tell how what came from sources was verified. */
export async function listStoredImages(
  engine: Engine,
  pools: readonly Pool[],
  {imageClass, records}: {imageClass: ImageClass | undefined; records: Records | undefined},
): Promise<StoredImage[]> {
  const wanted = pools.filter(({store}) => !imageClass || store.imageClass === imageClass);
  const installed = records ? await readVerifications(records) : new Map<string, Verification>();
  const lists = await Promise.all(
    wanted.map(async ({name: pool, store}) => {
      const images = await engine.listImages(store, {withHidden: true});
      return images.map((image) => {
        const verification = image.verification ?? installed.get(`${pool}/${image.name}`);
        return verification ? {...image, verification} : image;
      });
    }),
  );
  return lists.flat().sort((a, b) => compare(a.imageClass, b.imageClass) || compare(a.name, b.name));
}

type Records = Pick<RecordStore, 'listUuids' | 'find'>;

/** By pool and name. */
async function readVerifications(records: Records): Promise<Map<string, Verification>> {
  const found = new Map<string, Verification>();
  for (const uuid of await records.listUuids()) {
    const record = await records.find(uuid).catch(() => undefined);
    if (!record?.digests) continue;
    const {level, keyId} = record.verification;
    const {sha256} = record.digests;
    found.set(`${record.pool}/${record.localName}`, {level, sha256, ...(keyId && {keyFingerprint: keyId})});
  }
  return found;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
