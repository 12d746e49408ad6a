/**
 * Makes small files beside the reading of an archive, a batch at a time on the threads of the pool. Until it is asked
 * to drain, the files may or may not be there: whoever touches their names, or those of their directories, drains first.
 */
import {FileBatch, type NewFile} from '../../sys/file-batch.ts';
import type {Metadata} from '../../sys/metadata.ts';

/** One is filled while two are made; more would only wait for each other in the file system. */
const defaultRunning = 2;

/** A file that has to be made step by step, because something is in the way or goes wrong. */
export interface LeftOver<Entry> {
  entry: Entry;
  path: string;
  bytes: Buffer;
}

interface Filling<Entry> {
  batch: FileBatch;
  files: {entry: Entry; path: string}[];
}

interface Running<Entry> extends Filling<Entry> {
  failed: Promise<number[]>;
}

export class FileMaker<Entry extends Metadata> {
  readonly #makeLeftOver: (left: LeftOver<Entry>) => void;
  readonly #maxRunning: number;
  readonly #pending = new Set<string>();
  readonly #running: Running<Entry>[] = [];
  readonly #free: FileBatch[] = [];
  #filling: Filling<Entry> = {batch: new FileBatch(), files: []};

  /** `makeLeftOver` is called while this is waited for and never else; `maxRunning` batches are made at a time. */
  constructor(makeLeftOver: (left: LeftOver<Entry>) => void, maxRunning = defaultRunning) {
    this.#makeLeftOver = makeLeftOver;
    this.#maxRunning = maxRunning;
  }

  /** Whether the path, or one above it, is that of a file which may not be there yet. */
  isPending(path: string): boolean {
    if (this.#pending.size === 0) return false;
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1))
      if (this.#pending.has(path.slice(0, end))) return true;
    return false;
  }

  /** Waits until a file of that length can be added. */
  async makeRoom(length: number): Promise<void> {
    if (this.#filling.batch.hasRoom(length)) return;
    this.#start();
    while (this.#running.length > this.#maxRunning) await this.#finishOldest();
  }

  /** There must be room. The path is that of the file, `file.path` that of its directory. */
  add(path: string, file: NewFile, bytes: Buffer, entry: Entry): void {
    this.#filling.batch.add(file, bytes, entry);
    this.#filling.files.push({entry, path});
    this.#pending.add(path);
  }

  /** Resolves when every file is there. */
  async drain(): Promise<void> {
    if (this.#filling.batch.count > 0) this.#start();
    while (this.#running.length > 0) await this.#finishOldest();
  }

  #start(): void {
    const failed = this.#filling.batch.make();
    failed.catch(() => undefined); // it is awaited below
    this.#running.push({...this.#filling, failed});
    this.#filling = {batch: this.#free.pop() ?? new FileBatch(), files: []};
  }

  async #finishOldest(): Promise<void> {
    const running = this.#running.shift();
    if (!running) return;
    const {batch, files, failed} = running;
    const left = await failed;
    for (const {path} of files) this.#pending.delete(path);
    for (const index of left) {
      const file = files[index];
      if (file) this.#makeLeftOver({...file, bytes: batch.contentsOf(index)});
    }
    batch.clear();
    this.#free.push(batch);
  }
}
