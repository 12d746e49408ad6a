/**
 * What is installed (design.md §4): an image whose data is in storage and which has a record. Storage and records are
 * the truth; the catalog is brought in line with them on the way, so that a crash between any two steps of an
 * import needs no repair.
 */

import type {ImageRecord} from '../catalog/records.ts';
import type {ImageStore, StoredImage} from '../engine/engine.ts';
import {ImgctlError} from '../errors.ts';
import {isUuid} from '../manifest/manifest.ts';
import type {ActionContext, Pool} from './context.ts';
import {getPool, poolText} from './pools.ts';

/** What of a stored image says that it is there. */
export type StoredName = Pick<StoredImage, 'name' | 'zfs'>;

/** Who tells which images a store holds; every engine does. */
export interface ImageNamer {
  listImages(store: ImageStore): Promise<readonly StoredName[]>;
}

export interface InstalledImage {
  record: ImageRecord;
  pool: Pool;
  /** Names of instances that were made from it, in its pool, and still exist. */
  instances: string[];
  /** Its data. */
  stored: StoredName;
}

export type InstalledContext = Pick<ActionContext, 'catalog' | 'records' | 'pools'> & {engine: ImageNamer};

/** Told of an image that cannot be listed because its record cannot be read. */
export type OnUnreadable = (uuid: string, error: ImgctlError) => void;

/**
 * All installed images, in the order of their UUIDs. A record that cannot be read is an error, for whoever decides what
 * may be deleted; who only shows or checks images goes on without it.
 */
export async function listInstalled(
  context: InstalledContext,
  onUnreadable?: OnUnreadable,
): Promise<InstalledImage[]> {
  const records = await indexedRecords(context, onUnreadable);
  const pools = new Set(records.map((record) => record.pool));
  const images: InstalledImage[] = [];
  for (const pool of context.pools.filter(({name}) => pools.has(name))) {
    const stored = await storedByName(context, pool);
    const own = records.filter((record) => record.pool === pool.name);
    images.push(...own.flatMap((record) => installedFrom(record, pool, stored) ?? []));
  }
  return images.sort((a, b) => (a.record.manifest.uuid < b.record.manifest.uuid ? -1 : 1));
}

async function storedByName({engine}: InstalledContext, pool: Pool): Promise<Map<string, StoredName>> {
  return new Map((await engine.listImages(pool.store)).map((image) => [image.name, image]));
}

function installedFrom(
  record: ImageRecord,
  pool: Pool,
  inPool: ReadonlyMap<string, StoredName>,
): InstalledImage | undefined {
  const stored = inPool.get(record.localName);
  if (!stored) return undefined;
  const instances = record.instances.map(({name}) => name).filter((name) => inPool.has(name));
  return {record, pool, instances, stored};
}

/** Catalog rows and record files agree afterwards; only a difference costs writes. */
async function indexedRecords(
  context: InstalledContext,
  onUnreadable: OnUnreadable | undefined,
): Promise<ImageRecord[]> {
  const [rows, uuids] = await Promise.all([context.catalog.images.list(), context.records.listUuids()]);
  const onDisk = new Set(uuids);
  const indexed = new Set(rows.map((row) => row.manifest.uuid));
  const kept = rows.filter((row) => onDisk.has(row.manifest.uuid));
  for (const row of rows) {
    if (!onDisk.has(row.manifest.uuid)) await context.catalog.images.remove(row.manifest.uuid);
  }
  for (const uuid of uuids.filter((candidate) => !indexed.has(candidate))) {
    const record = await readRecord(context, uuid, onUnreadable);
    if (record && (await isStored(context, record))) {
      await context.catalog.images.put(record);
      kept.push(record);
    }
  }
  return kept.sort((a, b) => (a.manifest.uuid < b.manifest.uuid ? -1 : 1));
}

async function readRecord(
  {records}: InstalledContext,
  uuid: string,
  onUnreadable: OnUnreadable | undefined,
): Promise<ImageRecord | undefined> {
  try {
    return await records.find(uuid);
  } catch (error) {
    if (!onUnreadable || !(error instanceof ImgctlError)) throw error;
    onUnreadable(uuid, error);
    return undefined;
  }
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
  return installedFrom(record, pool, await storedByName(context, pool));
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
