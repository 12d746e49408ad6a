/** Who may do what with a cached file, between processes and within one. */

import {setTimeout as sleep} from 'node:timers/promises';
import {type FileLock, tryLock} from '../sys/lock.ts';
import {sizeOfFile} from './cache-file.ts';
import {interrupted} from './download-errors.ts';
import type {FetchRequest} from './fetch-request.ts';

const firstPollMs = 10;
const slowestPollMs = 250;
/** A wait shorter than this is not told. */
const quietMs = 200;

export interface EntryLock {
  /** Shared: the whole file is there, to be verified and used. Exclusive: it is not, to be downloaded. */
  mode: 'shared' | 'exclusive';
  lock: FileLock;
}

/**
 * Waits until the file is there, or until nobody else is busy with getting it. Users of a whole file never wait
 * for each other: two images of one file in one import would otherwise wait for ever.
 */
export async function lockEntry(file: string, request: FetchRequest): Promise<EntryLock> {
  const start = performance.now();
  let seenBytes = 0;
  for (let pollMs = firstPollMs; ; pollMs = Math.min(pollMs * 1.5, slowestPollMs)) {
    if (request.signal?.aborted) throw interrupted(request.signal.reason);
    const entry = await tryEntry(file);
    if (entry) return entry;
    if (performance.now() - start >= quietMs) {
      const presentBytes = (await sizeOfFile(`${file}.partial`)) ?? (await sizeOfFile(file)) ?? 0;
      seenBytes = Math.max(seenBytes, Math.min(presentBytes, request.expected.sizeBytes));
      request.onProgress?.({
        doneBytes: seenBytes,
        totalBytes: request.expected.sizeBytes,
        resumedAtBytes: 0,
        phase: 'wait',
      });
    }
    await sleep(pollMs, undefined, {...(request.signal && {signal: request.signal})}).catch((error) => {
      throw interrupted(error);
    });
  }
}

async function tryEntry(file: string): Promise<EntryLock | undefined> {
  const mode = (await sizeOfFile(file)) === undefined ? 'exclusive' : 'shared';
  const lock = tryLock(`${file}.lock`, mode);
  if (!lock) return undefined;
  try {
    // Somebody may have finished or evicted it between the look and the lock.
    const isStill = ((await sizeOfFile(file)) === undefined) === (mode === 'exclusive');
    if (isStill) return {mode, lock};
  } catch (error) {
    lock.release();
    throw error;
  }
  lock.release();
  return undefined;
}
