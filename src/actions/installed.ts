/**
 * What is installed (design.md §4): an image whose data is in storage and which has a record. Storage and records are
 * the truth; the catalog is brought in line with them on the way, so that a crash between any two steps of an
 * import needs no repair.
 */

import type {ImageRecord} from '../catalog/records.ts';
import {ImgctlError} from '../errors.ts';
import {isUuid} from '../manifest/manifest.ts';
import type {ActionContext, Pool} from './context.ts';
import {getPool, poolText} from './pools.ts';

export interface InstalledImage {
  record: ImageRecord;
  pool: Pool;
  /** Names of instances that were made from it and still exist. */
  instances: string[];
}

type InstalledContext = Pick<ActionContext, 'catalog' | 'records' | 'engine' | 'pools'>;

/** All installed images, in the order of their UUIDs. */
export async function listInstalled(context: InstalledContext): Promise<InstalledImage[]> {
  const records = await indexedRecords(context);
  const stored = await storedNames(context, records);
  const machines = stored.get(context.pools[0]?.name ?? '') ?? new Set();
  const images: InstalledImage[] = [];
  for (const record of records) {
    const pool = context.pools.find((candidate) => candidate.name === record.pool);
    if (!pool || !stored.get(pool.name)?.has(record.localName)) continue;
    const instances = record.instances.map((instance) => instance.name).filter((name) => machines.has(name));
    images.push({record, pool, instances});
  }
  return images;
}

/** Catalog rows and record files agree afterwards; only a difference costs writes. */
async function indexedRecords(context: InstalledContext): Promise<ImageRecord[]> {
  const [rows, uuids] = await Promise.all([context.catalog.images.list(), context.records.listUuids()]);
  const onDisk = new Set(uuids);
  const indexed = new Set(rows.map((row) => row.manifest.uuid));
  const kept = rows.filter((row) => onDisk.has(row.manifest.uuid));
  for (const row of rows) {
    if (!onDisk.has(row.manifest.uuid)) await context.catalog.images.remove(row.manifest.uuid);
  }
  for (const uuid of uuids.filter((candidate) => !indexed.has(candidate))) {
    const record = await context.records.find(uuid);
    if (record && (await isStored(context, record))) {
      await context.catalog.images.put(record);
      kept.push(record);
    }
  }
  return kept.sort((a, b) => (a.manifest.uuid < b.manifest.uuid ? -1 : 1));
}

async function storedNames(
  context: InstalledContext,
  records: ImageRecord[],
): Promise<Map<string, Set<string>>> {
  const result = new Map<string, Set<string>>();
  const needed = new Set(records.map((record) => record.pool));
  if (records.some((record) => record.instances.length > 0) && context.pools[0])
    needed.add(context.pools[0].name);
  for (const pool of context.pools.filter((candidate) => needed.has(candidate.name))) {
    const images = await context.engine.listImages(pool.store);
    result.set(pool.name, new Set(images.map((image) => image.name)));
  }
  return result;
}

async function isStored(context: InstalledContext, record: ImageRecord): Promise<boolean> {
  const pool = context.pools.find((candidate) => candidate.name === record.pool);
  if (!pool) return false;
  const images = await context.engine.listImages(pool.store);
  return images.some((image) => image.name === record.localName);
}

/** The image if its record and its data are there. */
export async function findInstalled(
  context: InstalledContext,
  uuid: string,
): Promise<InstalledImage | undefined> {
  const record = await context.records.find(uuid);
  if (!record) return undefined;
  const pool = context.pools.find((candidate) => candidate.name === record.pool);
  if (!pool) return undefined;
  const stored = new Set((await context.engine.listImages(pool.store)).map((image) => image.name));
  if (!stored.has(record.localName)) return undefined;
  const machineStore = context.pools[0]?.store;
  const machines =
    pool.store === machineStore || !machineStore
      ? stored
      : new Set((await context.engine.listImages(machineStore)).map((image) => image.name));
  const instances = record.instances.map((instance) => instance.name).filter((name) => machines.has(name));
  return {record, pool, instances};
}

/** The installed image, or `ImageNotInstalled` (exit 3) with imgadm's text. */
export async function getInstalled(
  context: InstalledContext & Pick<ActionContext, 'program'>,
  uuid: string,
  poolName: string | undefined,
): Promise<InstalledImage> {
  checkUuid(uuid);
  const image = await findInstalled(context, uuid);
  const wanted = poolName === undefined ? undefined : getPool(context.pools, poolName);
  if (image && (!wanted || image.pool === wanted)) return image;
  throw notInstalled(context, uuid, wanted);
}

/** For text that names no installed image; the pool is the default one unless one was named. */
export function notInstalled(
  {pools, program}: Pick<ActionContext, 'pools' | 'program'>,
  text: string,
  wanted: Pool | undefined,
): ImgctlError {
  const pool = poolText(pools, wanted?.name ?? pools[0]?.name ?? '');
  return new ImgctlError('ImageNotInstalled', `image "${text}" was not found on zpool "${pool}"`, {
    hint: `installed images: ${program} list`,
  });
}

export function checkUuid(text: string): void {
  if (!isUuid(text)) throw new ImgctlError('InvalidUUID', `invalid uuid: "${text}"`);
}
