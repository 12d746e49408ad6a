/**
 * The space plan made before the first byte (ux.md §10): what still has to be downloaded on the cache's file system,
 * and what the images need at least in their pool. Decoded size is known for plain files and disks that state
 * `image_size` only as an upper bound, so the plan is a lower bound: it refuses what cannot work, no more.
 */

import {existsSync} from 'node:fs';
import {mkdir, stat, statfs} from 'node:fs/promises';
import path from 'node:path';
import type {DownloadCache} from '../downloads/download-cache.ts';
import {noSpace} from '../downloads/download-errors.ts';
import {errnoOf} from '../errors.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import type {ActionContext, Pool} from './context.ts';

interface Demand {
  directory: string;
  needBytes: number;
}

/** What a chain of images takes. */
export interface SpacePlan {
  /** Still to be downloaded. */
  downloadBytes: number;
  /** At least, in the pool. */
  storeBytes: number;
}

/** `NoSpace` naming the place, what is needed and what there is. A dry run makes no directories for that. */
export async function checkSpaceFor(
  context: ActionContext,
  pool: Pool,
  images: readonly ImageManifest[],
  {isDryRun = false} = {},
): Promise<SpacePlan> {
  const downloadBytes = await missingBytes(context.downloads, images);
  const storeBytes = images.reduce((sum, image) => sum + storedBytes(image), 0);
  const demands = [{directory: context.downloads.directory, needBytes: downloadBytes}];
  await checkDemands([...demands, ...(await storeDemand(pool, storeBytes))], isDryRun);
  return {downloadBytes, storeBytes};
}

/** The same for a file that is here. */
export async function checkStoreSpace(
  pool: Pool,
  image: ImageManifest,
  {isDryRun = false} = {},
): Promise<void> {
  await checkDemands(await storeDemand(pool, storedBytes(image)), isDryRun);
}

/** None where the pool itself says what is free. */
async function storeDemand({store, freeBytes}: Pool, needBytes: number): Promise<Demand[]> {
  const {directory, dataset = directory} = store;
  const haveBytes = await freeBytes?.();
  if (haveBytes === undefined) return [{directory, needBytes}];
  if (needBytes > haveBytes) throw noSpace(dataset, needBytes, haveBytes);
  return [];
}

async function missingBytes(cache: DownloadCache, images: readonly ImageManifest[]): Promise<number> {
  let total = 0;
  for (const image of images) {
    const file = image.files?.[0];
    if (!file) continue;
    total += file.size - (await cache.presentBytes({sizeBytes: file.size, sha1: file.sha1}));
  }
  return total;
}

/** Compressed bytes never unpack to less on average; a plain raw file may be sparse, so it counts as nothing. */
function storedBytes(image: ImageManifest): number {
  const file = image.files?.[0];
  return file && file.compression !== 'none' ? file.size : 0;
}

/** Demands on the same file system add up. */
async function checkDemands(demands: readonly Demand[], isDryRun: boolean): Promise<void> {
  const byDevice = new Map<number, Demand>();
  for (const demand of demands) {
    const directory = isDryRun ? nearest(demand.directory) : await existing(demand.directory);
    const {dev} = await stat(directory);
    const sum = byDevice.get(dev)?.needBytes ?? 0;
    byDevice.set(dev, {directory, needBytes: sum + demand.needBytes});
  }
  for (const {directory, needBytes} of byDevice.values()) {
    const {bavail, bsize} = await statfs(directory);
    const haveBytes = bavail * bsize;
    if (needBytes > haveBytes) throw noSpace(directory, needBytes, haveBytes);
  }
}

/** The directory, made if it may be; a service makes its own, on the file system of the nearest that is there. */
async function existing(directory: string): Promise<string> {
  try {
    await mkdir(directory, {recursive: true, mode: 0o700});
    return directory;
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes(errnoOf(error) ?? '')) throw error;
    return existsSync(directory) ? directory : existing(path.dirname(directory));
  }
}

/** On whose file system the directory would be made. */
function nearest(directory: string): string {
  return existsSync(directory) ? directory : nearest(path.dirname(directory));
}
