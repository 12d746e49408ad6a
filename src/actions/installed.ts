/**
 * What is installed (design.md §4): an image whose data is in storage and which has a record. Storage and records are
 * the truth; the catalog is brought in line with them on the way, so that a crash between any two steps of an
 * import needs no repair.
 */

import type {BriefRecord} from '../catalog/images.ts';
import type {CompareNames, ImageRecord} from '../catalog/records.ts';
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
  /** Whether it is sure at once that all of these are there, joined by slashes. */
  holds?(store: ImageStore, names: string, compare: CompareNames): boolean;
}

export interface InstalledImage<Kept extends BriefRecord = ImageRecord> {
  record: Kept;
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
 * All installed images, in the order of their UUIDs. A record that cannot be read is an error unless somebody wants to be
 * told of it: it must not keep people from the other images.
 */
export function listInstalled(
  context: InstalledContext,
  onUnreadable?: OnUnreadable,
): Promise<InstalledImage[]> {
  return withStorage(context, () => context.catalog.images.list(), onUnreadable);
}

/** The same, with no more of their records than lists show by default; if wanted in the order of their dates. */
export function listInstalledBriefly(
  context: InstalledContext,
  onUnreadable?: OnUnreadable,
  order: {byDate: boolean} = {byDate: false},
): Promise<InstalledImage<BriefRecord>[]> {
  return withStorage<BriefRecord>(context, () => context.catalog.images.listBrief(order), onUnreadable);
}

/** In the order of the rows. */
async function withStorage<Kept extends BriefRecord>(
  context: InstalledContext,
  readRows: () => Promise<Kept[]>,
  onUnreadable: OnUnreadable | undefined,
): Promise<InstalledImage<Kept>[]> {
  const records = await indexedRecords(context, readRows, onUnreadable);
  const places = new Map<string, {pool: Pool; stored: ReadonlyMap<string, StoredName>}>();
  for (const name of new Set(records.map((record) => record.pool))) {
    const pool = context.pools.find((candidate) => candidate.name === name);
    if (pool) places.set(name, {pool, stored: await storedByName(context, pool)});
  }
  const images: InstalledImage<Kept>[] = [];
  for (const record of records) {
    const place = places.get(record.pool);
    const image = place && installedFrom(record, place.pool, place.stored);
    if (image) images.push(image);
  }
  return images;
}

async function storedByName({engine}: InstalledContext, pool: Pool): Promise<Map<string, StoredName>> {
  const stored = new Map<string, StoredName>();
  for (const image of await engine.listImages(pool.store)) stored.set(image.name, image);
  return stored;
}

function installedFrom<Kept extends BriefRecord>(
  record: Kept,
  pool: Pool,
  inPool: ReadonlyMap<string, StoredName>,
): InstalledImage<Kept> | undefined {
  const stored = inPool.get(record.localName);
  if (!stored) return undefined;
  return {record, pool, instances: existing(record, inPool), stored};
}

/** Of nearly all images. */
const none: string[] = [];

function existing({instances}: BriefRecord, inPool: ReadonlyMap<string, StoredName>): string[] {
  if (instances.length === 0) return none;
  return instances.map(({name}) => name).filter((name) => inPool.has(name));
}

/** Catalog rows and record files agree afterwards; only a difference costs writes. */
async function indexedRecords<Kept extends BriefRecord>(
  context: InstalledContext,
  readRows: () => Promise<Kept[]>,
  onUnreadable: OnUnreadable | undefined,
): Promise<Kept[]> {
  const [rows, uuids] = await Promise.all([readRows(), context.records.listUuids()]);
  const onDisk = new Set(uuids);
  // Which is nearly always so.
  if (rows.length === onDisk.size && rows.every((row) => onDisk.has(row.manifest.uuid))) return rows;
  const indexed = new Set(rows.map((row) => row.manifest.uuid));
  for (const uuid of indexed) if (!onDisk.has(uuid)) await context.catalog.images.remove(uuid);
  const missing = uuids.filter((uuid) => !indexed.has(uuid));
  const known =
    missing.length > 0 && (await addRows(context, missing, onUnreadable)) ? await readRows() : rows;
  return known.filter((row) => onDisk.has(row.manifest.uuid));
}

/** Whether any of them had data. */
async function addRows(
  context: InstalledContext,
  uuids: readonly string[],
  onUnreadable: OnUnreadable | undefined,
): Promise<boolean> {
  const stores = new Map<Pool, Promise<Map<string, StoredName>>>();
  let isAnyAdded = false;
  for (const uuid of uuids) {
    const record = await readRecord(context, uuid, onUnreadable);
    const pool = context.pools.find(({name}) => name === record?.pool);
    if (!record || !pool) continue;
    const stored = stores.get(pool) ?? storedByName(context, pool);
    stores.set(pool, stored);
    if (!(await stored).has(record.localName)) continue;
    await context.catalog.images.put(record);
    isAnyAdded = true;
  }
  return isAnyAdded;
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
