/** What killed processes left beside images and records, found the way the next import finds it. */

import {rm} from 'node:fs/promises';
import path from 'node:path';
import type {LockService, Pool} from '../actions/context.ts';
import type {RecordStore} from '../catalog/records.ts';
import {errnoOf} from '../errors.ts';
import {findStaleStaging, sweepStaging} from '../sys/staging.ts';

export interface LeftoverPlaces {
  pools: readonly Pool[];
  records: RecordStore;
  locks: LockService;
}

/** Paths; what somebody uses now is none. */
export async function findLeftovers(
  {pools, records, locks}: LeftoverPlaces,
  {remove}: {remove: boolean},
): Promise<string[]> {
  const found: string[] = [];
  for (const directory of new Set(pools.map(({store}) => store.directory))) {
    const stale = staleIn(directory);
    found.push(...stale);
    if (remove && stale.length > 0) await sweepStaging(directory);
  }
  for (const file of await records.listLeftovers()) {
    const [, uuid] = /^\.#(.{36})\./.exec(path.basename(file)) ?? [];
    // Who writes a record holds the lock of its image.
    const lock = await locks.tryAcquire(`import-${uuid}`);
    if (!lock) continue;
    found.push(file);
    if (remove) await rm(file, {force: true});
    lock.release();
  }
  return found;
}

/** A directory that this user may not read holds nothing of his. */
function staleIn(directory: string): string[] {
  try {
    return findStaleStaging(directory);
  } catch (error) {
    if (errnoOf(error) === 'EACCES') return [];
    throw error;
  }
}
