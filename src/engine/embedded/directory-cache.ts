import {closeSync, constants} from 'node:fs';
import {errnoOf} from '../../errors.ts';
import {makeDirectoryAt, O_PATH, openBeneath} from '../../sys/files.ts';
import {refused} from './entry-path.ts';

/** Few, for the reason that `EntryMaker` has. */
const capacity = 8;
const flags = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Open directories below a top directory, by path (latin1). Every one was reached without following a symbolic
 * link and without leaving the top, and the kernel checked that.
 */
export class DirectoryCache {
  readonly #top: number;
  /** In order of use, the oldest first. */
  readonly #open = new Map<string, number>();

  constructor(top: number) {
    this.#top = top;
  }

  /** A descriptor good until the next call; the cache closes it. Missing directories are made by `make`. */
  get(path: string, make?: (path: string) => void): number {
    if (path === '') return this.#top;
    const fd = this.#open.get(path) ?? this.#openDirectory(path, make);
    this.#open.delete(path);
    this.#open.set(path, fd);
    if (this.#open.size > capacity) this.#closeOldest();
    return fd;
  }

  /** Forgets a directory that was removed. */
  drop(path: string): void {
    const fd = this.#open.get(path);
    if (fd !== undefined) closeSync(fd);
    this.#open.delete(path);
  }

  /** Closes everything. */
  clear(): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }

  #openDirectory(path: string, make?: (path: string) => void): number {
    try {
      return openBeneath(this.#top, Buffer.from(path, 'latin1'), flags);
    } catch (error) {
      const code = errnoOf(error);
      if (code === 'ELOOP') throw refused(path, 'it leads through a symbolic link');
      if (code === 'ENOTDIR') throw refused(path, 'it leads through something that is not a directory');
      if (code !== 'ENOENT' || !make) throw error;
    }
    const slash = path.lastIndexOf('/');
    const parent = this.get(slash < 0 ? '' : path.slice(0, slash), make);
    makeDirectoryAt(parent, Buffer.from(path.slice(slash + 1), 'latin1'), 0o700);
    make(path);
    return openBeneath(this.#top, Buffer.from(path, 'latin1'), flags);
  }

  #closeOldest(): void {
    for (const [path, fd] of this.#open) {
      closeSync(fd);
      this.#open.delete(path);
      return;
    }
  }
}

/** The directory that holds what a hard link names; the caller closes it. A cache may close one that is needed beside it. */
export function openForLink(top: number, path: string): number {
  try {
    return openBeneath(top, path === '' ? '.' : Buffer.from(path, 'latin1'), flags);
  } catch (error) {
    if (errnoOf(error) === 'ELOOP') throw refused(path, 'a hard link leads through a symbolic link');
    if (errnoOf(error) === 'ENOTDIR') throw refused(path, 'a hard link leads through a file');
    throw error;
  }
}
