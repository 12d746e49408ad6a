/**
 * Two trees of the same entries: what a pull keeps and what it was asked for. Both are made while the archive is decoded,
 * so that the second costs neither a process nor a reading of the first, and one sync does for both. Only where files
 * cannot share blocks: elsewhere a copy is nearly free and takes no room.
 */
import {closeSync, constants} from 'node:fs';
import {copyFileNow} from '../../sys/copy-file.ts';
import type {Collected} from '../../sys/entry-batch.ts';
import {openAt, openBeneath} from '../../sys/files.ts';
import type {Losses} from '../../sys/losses.ts';
import {addPieces} from './add-pieces.ts';
import {entryParts} from './entry-path.ts';
import type {PlaceFile, TreeEntry} from './tree-entry.ts';
import {TreeWriter, type TreeWriterOptions} from './tree-writer.ts';

const fileFlags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Used as a `TreeWriter` is. The caller closes both directories. */
export class TwinWriter {
  readonly #top: number;
  readonly #first: TreeWriter;
  readonly #second: TreeWriter;

  constructor(tops: {first: number; second: number}, options: TreeWriterOptions) {
    this.#top = tops.first;
    this.#first = new TreeWriter(tops.first, options);
    this.#second = new TreeWriter(tops.second, options);
  }

  /** What one could not keep the other could not either. */
  get losses(): Losses {
    return this.#first.losses;
  }

  /** As that of a `TreeWriter`: both have the same room, because the same comes to both. */
  collectTar(bytes: Buffer, from: number): Collected {
    const collected = this.#first.collectTar(bytes, from);
    if (this.#second.collectTar(bytes, from).end !== collected.end)
      throw new Error('The trees are not twins');
    return collected;
  }

  /** As that of a `TreeWriter`. */
  add(given: TreeEntry): Promise<void> | undefined {
    if (this.#first.takesPieces(given))
      return addPieces(given, (bytes, position) =>
        both(this.#first.addPiece(given, bytes, position), this.#second.addPiece(given, bytes, position)),
      );
    if (given.type === 'file') return this.#addFile(given);
    return both(this.#first.add(given), this.#second.add(given));
  }

  async #addFile(given: TreeEntry): Promise<void> {
    const {body, plain: _notTwice, ...entry} = given;
    await this.#first.add({...entry, ...(body && {body})});
    await this.#second.add({...entry, place: this.#copyOf(entry.path)});
  }

  async leaveChunk(): Promise<void> {
    await Promise.all([this.#first.leaveChunk(), this.#second.leaveChunk()]);
  }

  async settle(): Promise<void> {
    await Promise.all([this.#first.settle(), this.#second.settle()]);
  }

  async finish(): Promise<Buffer | undefined> {
    const [lifted] = await Promise.all([this.#first.finish(), this.#second.finish()]);
    return lifted;
  }

  async close(): Promise<void> {
    await this.#first.close();
    await this.#second.close();
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

function both(
  first: Promise<void> | undefined,
  second: Promise<void> | undefined,
): Promise<void> | undefined {
  return first && second ? Promise.all([first, second]).then(() => undefined) : (first ?? second);
}
