/**
 * Two trees of the same entries: what a pull keeps and what it was asked for. Both are made while the archive is decoded,
 * so that the second costs neither a process nor a reading of the first, and one sync does for both. Only where files
 * cannot share blocks: elsewhere a copy is nearly free and takes no room.
 */
import {closeSync, constants} from 'node:fs';
import {copyFileNow} from '../../sys/copy-file.ts';
import {openAt, openBeneath} from '../../sys/files.ts';
import type {Losses} from '../../sys/losses.ts';
import {entryParts} from './entry-path.ts';
import type {PlaceFile, TreeEntry} from './tree-entry.ts';
import {TreeWriter, type TreeWriterOptions} from './tree-writer.ts';

const fileFlags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** One batch of small files at a time for each tree: there are four threads, and decoder and sync need theirs. */
const batches = 1;

/** Used as a `TreeWriter` is. The caller closes both directories. */
export class TwinWriter {
  readonly #top: number;
  readonly #first: TreeWriter;
  readonly #second: TreeWriter;

  constructor(tops: {first: number; second: number}, options: TreeWriterOptions) {
    this.#top = tops.first;
    this.#first = new TreeWriter(tops.first, {...options, batches});
    this.#second = new TreeWriter(tops.second, {...options, batches});
  }

  /** What one could not keep the other could not either. */
  get losses(): Losses {
    return this.#first.losses;
  }

  async add(given: TreeEntry): Promise<void> {
    const {body, ...entry} = given;
    const small = await given.small?.();
    const bytes = async () => small;
    await this.#first.add({...entry, small: bytes, ...(body && {body})});
    await this.#second.add({...entry, small: bytes, place: this.#copyOf(entry.path)});
  }

  async settle(): Promise<void> {
    await Promise.all([this.#first.settle(), this.#second.settle()]);
  }

  finish(): Buffer | undefined {
    this.#second.finish();
    return this.#first.finish();
  }

  close(): void {
    this.#first.close();
    this.#second.close();
  }

  /** A body can be read once; but a file with one is whole in the first tree by now. */
  #copyOf(path: Buffer): PlaceFile {
    return (dir, name) => {
      const to = openAt(dir, name, fileFlags, 0o600);
      try {
        const from = openBeneath(this.#top, Buffer.from(entryParts(path).join('/'), 'latin1'), readFlags);
        try {
          copyFileNow(from, to);
        } finally {
          closeSync(from);
        }
        return to;
      } catch (error) {
        closeSync(to);
        throw error;
      }
    };
  }
}
