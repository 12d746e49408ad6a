/** Keeps the cache below its bound: the files that were finished longest ago go first, those in use stay. */

import {readdir, rm, stat} from 'node:fs/promises';
import path from 'node:path';
import {tryLock} from '../sys/lock.ts';

interface Entry {
  file: string;
  sizeBytes: number;
  modifiedMs: number;
}

/** Partial files count and go like the others. Returns the bytes that were freed. */
export async function evictOldest(directory: string, maxBytes: number): Promise<number> {
  const entries = await listEntries(directory);
  let total = entries.reduce((sum, entry) => sum + entry.sizeBytes, 0);
  let freedBytes = 0;
  for (const entry of entries.sort((a, b) => a.modifiedMs - b.modifiedMs)) {
    if (total <= maxBytes) break;
    const lock = tryLock(`${entry.file.replace(/\.partial$/, '')}.lock`);
    if (!lock) continue;
    try {
      await rm(entry.file, {force: true});
      await rm(`${entry.file}.json`, {force: true});
      total -= entry.sizeBytes;
      freedBytes += entry.sizeBytes;
    } finally {
      lock.release({remove: true});
    }
  }
  return freedBytes;
}

async function listEntries(directory: string): Promise<Entry[]> {
  const names = (await readdir(directory)).filter(
    (name) => !name.endsWith('.lock') && !name.endsWith('.json'),
  );
  const entries = await Promise.all(
    names.map(async (name): Promise<Entry | undefined> => {
      const file = path.join(directory, name);
      const found = await stat(file).catch(() => undefined);
      return found && {file, sizeBytes: found.size, modifiedMs: found.mtimeMs};
    }),
  );
  return entries.filter((entry) => entry !== undefined);
}
