/** Files of the cache as plain files: never through a link, never something else that stands under the name. */

import {constants} from 'node:fs';
import {type FileHandle, lstat, open, rm} from 'node:fs/promises';
import {errnoOf} from '../errors.ts';
import type {StreamDigest} from '../sys/stream-digest.ts';
import {interrupted} from './download-errors.ts';

/** Bytes read at a time when a file that is already here is hashed again. */
const hashChunkBytes = 1 << 20;

/** Size of the plain file of that name; undefined when there is none. */
export async function sizeOfFile(file: string): Promise<number | undefined> {
  try {
    const found = await lstat(file);
    return found.isFile() ? found.size : undefined;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Opens for reading; undefined when there is no plain file. */
export async function openFile(file: string): Promise<FileHandle | undefined> {
  if ((await sizeOfFile(file)) === undefined) return undefined;
  return open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
}

/** Opens for reading and writing, what is there kept; the caller is the only one who uses the name. */
export async function openWritable(file: string): Promise<FileHandle> {
  await removeUnlessFile(file);
  return open(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
}

export async function removeUnlessFile(file: string): Promise<void> {
  if ((await sizeOfFile(file)) === undefined) await rm(file, {recursive: true, force: true});
}

/** Hashes a file from its start to its end; `onBytes` gets the bytes so far. Rejects with `Interrupted`. */
export async function hashFile(
  handle: FileHandle,
  digests: readonly StreamDigest[],
  options: {signal: AbortSignal | undefined; onBytes: (doneBytes: number) => void},
): Promise<number> {
  const buffers = [Buffer.allocUnsafeSlow(hashChunkBytes), Buffer.allocUnsafeSlow(hashChunkBytes)] as const;
  let digesting: Promise<unknown> = Promise.resolve();
  try {
    for (let doneBytes = 0, index = 0; ; index ^= 1) {
      if (options.signal?.aborted) throw interrupted(options.signal.reason);
      const buffer = buffers[index as 0 | 1];
      const {bytesRead} = await handle.read(buffer, 0, buffer.length, doneBytes);
      await digesting;
      if (bytesRead === 0) return doneBytes;
      // The next part is read meanwhile.
      digesting = Promise.all(digests.map((digest) => digest.update(buffer.subarray(0, bytesRead))));
      doneBytes += bytesRead;
      options.onBytes(doneBytes);
    }
  } finally {
    await digesting;
  }
}
