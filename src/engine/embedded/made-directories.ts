/** Directories of a tree, and what they get at the end: modes must not hinder before, and times are disturbed by what is made. */
import {closeSync, constants} from 'node:fs';
import {entryKind} from '../../sys/entry-batch.ts';
import {openBeneath} from '../../sys/files.ts';
import type {Losses} from '../../sys/losses.ts';
import {type Metadata, setMetadata} from '../../sys/metadata.ts';
import type {EntryQueue} from './entry-queue.ts';

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** chown leaves an owner of -1 as it is: whoever runs this. */
const madeUp = (): Metadata => ({
  mode: 0o755,
  uid: -1,
  gid: -1,
  mtimeNs: BigInt(Date.now()) * 1_000_000n,
  xattrs: new Map(),
});

export class MadeDirectories {
  readonly #top: number;
  readonly #losses: Losses;
  /** By path; '' is the top. */
  readonly #wanted = new Map<string, Metadata>();

  constructor(top: number, losses: Losses) {
    this.#top = top;
    this.#losses = losses;
  }

  set(path: string, metadata: Metadata): void {
    this.#wanted.set(path, metadata);
  }

  /** One that the archive does not name, yet. */
  make(path: string): void {
    this.#wanted.set(path, madeUp());
  }

  remove(path: string): void {
    this.#wanted.delete(path);
  }

  /** With all below it. */
  forget(path: string): void {
    for (const known of this.#wanted.keys())
      if (known === path || known.startsWith(`${path}/`)) this.#wanted.delete(known);
  }

  paths(): ReadonlySet<string> {
    return new Set(this.#wanted.keys());
  }

  /** Sets everything; what lay in the directory `lifted` lies in the top by now. */
  finish(lifted?: Buffer): void {
    for (const [path, metadata] of this.#inOrder(lifted)) this.finishOne(path, metadata);
  }

  /** The same on another thread, but for those that have attributes. What fails comes to `finishOne`. */
  async finishBy(queue: EntryQueue, lifted?: Buffer): Promise<void> {
    for (const [path, metadata] of this.#inOrder(lifted)) {
      if (metadata.xattrs.size === 0) {
        await queue.put({kind: entryKind.finish, path, metadata});
      } else {
        await queue.drain();
        this.finishOne(path, metadata);
      }
    }
    await queue.drain();
  }

  finishOne(path: string, metadata: Metadata): void {
    const fd = openBeneath(this.#top, path === '' ? '.' : Buffer.from(path, 'latin1'), directoryFlags);
    try {
      const label = path === '' ? '.' : Buffer.from(path, 'latin1').toString();
      setMetadata({dir: fd, name: '.', fd, label}, metadata, this.#losses);
    } finally {
      closeSync(fd);
    }
  }

  /** What lies in a directory comes before it. */
  #inOrder(lifted: Buffer | undefined): [path: string, metadata: Metadata][] {
    const wanted = lifted ? this.#withoutLifted(lifted.toString('latin1')) : this.#wanted;
    return [...wanted].sort(([one], [other]) => (one < other ? 1 : -1));
  }

  #withoutLifted(lifted: string): Map<string, Metadata> {
    const moved = new Map<string, Metadata>();
    for (const [path, metadata] of this.#wanted) {
      if (path === lifted) moved.set('', metadata);
      else if (path !== '') moved.set(path.slice(lifted.length + 1), metadata);
    }
    return moved;
  }
}
