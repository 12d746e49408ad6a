import {fsync} from 'node:fs';
import {promisify} from 'node:util';
import {syncFileSystemBeside} from '../../sys/contents.ts';

/**
 * Writing to the disk that goes on while something else is done: digesting, or making a second image of the same. All of it
 * must have ended well before anything counts as stored. What is synced stays open until then.
 */
export class PendingSyncs {
  readonly #running: Promise<void>[] = [];

  file(fd: number): void {
    this.#add(promisify(fsync)(fd));
  }

  fileSystem(fd: number): void {
    this.#add(syncFileSystemBeside(fd));
  }

  /** Rejects as the first that failed. */
  async settle(): Promise<void> {
    await Promise.all(this.#running);
  }

  #add(sync: Promise<void>): void {
    sync.catch(() => undefined); // `settle` tells
    this.#running.push(sync);
  }
}
