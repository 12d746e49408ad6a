/** What an image takes up on disk, for plans: a tree is walked, since no file system says it cheaply. */

import {lstat, readdir} from 'node:fs/promises';
import path from 'node:path';
import type {StoredImage} from '../engine/engine.ts';
import {errnoOf} from '../errors.ts';
import type {ActionContext} from './context.ts';
import type {InstalledImage} from './installed.ts';

/** Unit of st_blocks, stat(2). */
const blockBytes = 512;

/** Allocated bytes, as du(1) counts them; what this user may not read does not count. */
export async function allocatedBytes({type, path: place, usageBytes}: StoredImage): Promise<number> {
  if (usageBytes !== undefined) return usageBytes;
  return type === 'block' ? 0 : countTree(place);
}

/** The same of an installed image. */
export async function installedBytes(
  {engine}: Pick<ActionContext, 'engine'>,
  {pool, stored}: InstalledImage,
): Promise<number> {
  const found = (await engine.listImages(pool.store)).find(({name}) => name === stored.name);
  return found ? allocatedBytes(found) : 0;
}

async function countTree(root: string): Promise<number> {
  const linked = new Set<string>();
  const pending = [root];
  let total = 0;
  for (let place = pending.pop(); place !== undefined; place = pending.pop()) {
    try {
      const {blocks, nlink, dev, ino, isDirectory} = await statOf(place);
      if (!isDirectory && nlink > 1) {
        const key = `${dev}:${ino}`;
        if (linked.has(key)) continue;
        linked.add(key);
      }
      total += blocks * blockBytes;
      if (isDirectory) for (const name of await readdir(place)) pending.push(path.join(place, name));
    } catch (error) {
      if (!['ENOENT', 'EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
    }
  }
  return total;
}

async function statOf(place: string): Promise<{
  blocks: number;
  nlink: number;
  dev: number;
  ino: number;
  isDirectory: boolean;
}> {
  const stats = await lstat(place);
  const {blocks, nlink, dev, ino} = stats;
  return {blocks, nlink, dev, ino, isDirectory: stats.isDirectory()};
}
