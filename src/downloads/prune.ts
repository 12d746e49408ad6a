/** Emptying the cache by hand: what is in use by any process stays. */

import {errnoOf} from '../errors.ts';
import {type CacheEntry, listEntries, removeUnused} from './eviction.ts';

/** A whole file is old when nobody wrote it for so long. */
export const oldAfterMs = 7 * 24 * 60 * 60 * 1000;

export interface PruneOptions {
  /** Files that are not old too. */
  all: boolean;
  /** Only say what would go. */
  dryRun: boolean;
  nowMs: number;
}

export interface PrunedFile {
  path: string;
  sizeBytes: number;
}

/** Removes partial downloads and old whole ones; those that are in use stay. Returns what went. */
export async function pruneDownloads(directory: string, options: PruneOptions): Promise<PrunedFile[]> {
  const pruned: PrunedFile[] = [];
  for (const entry of await entriesOf(directory)) {
    const isWanted =
      options.all || entry.file !== entry.key || options.nowMs - entry.modifiedMs >= oldAfterMs;
    if (isWanted && (await removeUnused(entry, {dryRun: options.dryRun})))
      pruned.push({path: entry.file, sizeBytes: entry.sizeBytes});
  }
  return pruned;
}

/** Oldest first; none when there is no cache yet. */
async function entriesOf(directory: string): Promise<CacheEntry[]> {
  try {
    return (await listEntries(directory)).sort((a, b) => a.modifiedMs - b.modifiedMs);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
