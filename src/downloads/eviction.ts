/** Keeps the cache below its bound: the files that were written longest ago go first, those in use stay. */

import {lstat, readdir, rm} from 'node:fs/promises';
import path from 'node:path';
import {errnoOf} from '../errors.ts';
import {tryLock} from '../sys/lock.ts';
import {dataFileName} from './fetch-request.ts';
import {removePartialNote} from './partial-note.ts';

export interface CacheEntry {
  /** Path of the whole file, to which lock and note belong. */
  key: string;
  file: string;
  sizeBytes: number;
  modifiedMs: number;
}

/** Partial files count and go like the others. Returns the bytes that were freed. */
export async function evictOldest(directory: string, maxBytes: number): Promise<number> {
  const entries = await listEntries(directory);
  let excessBytes = entries.reduce((sum, entry) => sum + entry.sizeBytes, 0) - maxBytes;
  let freedBytes = 0;
  for (const entry of entries.sort((a, b) => a.modifiedMs - b.modifiedMs)) {
    if (excessBytes <= 0) break;
    if (!(await removeUnused(entry))) continue;
    excessBytes -= entry.sizeBytes;
    freedBytes += entry.sizeBytes;
  }
  return freedBytes;
}

/** Removes a file that no process uses, with its note; false for one that is in use. */
export async function removeUnused(entry: CacheEntry, options: {dryRun?: boolean} = {}): Promise<boolean> {
  const lock = tryLock(`${entry.key}.lock`);
  if (!lock) return false;
  try {
    if (options.dryRun) return true;
    await rm(entry.file, {recursive: true, force: true});
    await removePartialNote(`${entry.key}.partial`);
    return true;
  } finally {
    lock.release({remove: true});
  }
}

/** Whole and partial files, in no order. */
export async function listEntries(directory: string): Promise<CacheEntry[]> {
  const entries: CacheEntry[] = [];
  for (const name of await readdir(directory)) {
    const [, key] = dataFileName.exec(name) ?? [];
    if (key === undefined) continue;
    const file = path.join(directory, name);
    try {
      const {size, mtimeMs} = await lstat(file);
      entries.push({key: path.join(directory, key), file, sizeBytes: size, modifiedMs: mtimeMs});
    } catch (error) {
      // Another process evicted or finished it meanwhile.
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
  return entries;
}
