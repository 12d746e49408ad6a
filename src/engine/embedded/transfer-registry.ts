/**
 * Running transfers of one root, visible to every process of it: a JSON file each, locked by its process, so a file
 * that can be locked belongs to a dead one. A file `ID.cancel` beside it asks the transfer to stop.
 */
import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync} from 'node:fs';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {errnoOf} from '../../errors.ts';
import {isImageClass} from '../../import1/image-class.ts';
import {type FileLock, tryLock, waitForLock} from '../../sys/lock.ts';
import type {TransferSummary} from '../engine.ts';

const recordPattern = /^([0-9]{1,10})\.json$/;
/** Records have one size, so that a reader never sees the end of an older one. */
const recordBytes = 4096;
const lastId = 0xffffffff; // ids are 32 bits on the bus
const tickMs = 100;
const longestCancelMs = 5000;
const pollMs = 10;

export type TransferDescription = Omit<TransferSummary, 'id' | 'fraction'>;

export class TransferRegistry {
  /** Where the transfers are noted. */
  readonly directory: string;

  constructor(runtimeDirectory: string) {
    this.directory = path.join(runtimeDirectory, 'transfers');
  }

  /** Registers a transfer; the record must be closed. `onCancel` may be called more than once. */
  async open(description: TransferDescription, onCancel: () => void): Promise<TransferRecord> {
    mkdirSync(this.directory, {recursive: true, mode: 0o700});
    using _ids = await waitForLock(path.join(this.directory, 'ids.lock'));
    // Numbers begin anew where nothing runs, as those of a daemon do that leaves when it is idle.
    for (let id = this.list().length === 0 ? 0 : this.#readLastId(); ; ) {
      id = id >= lastId ? 1 : id + 1;
      const lock = tryLock(this.#recordPath(id));
      if (!lock) continue;
      writeFileSync(path.join(this.directory, 'last-id'), String(id));
      const cancelPath = this.#cancelPath(id);
      rmSync(cancelPath, {force: true});
      return new TransferRecord({...description, id, fraction: undefined}, {lock, cancelPath, onCancel});
    }
  }

  /** Transfers that run now, by id; what dead processes left is removed. */
  list(): TransferSummary[] {
    return this.#ids()
      .flatMap((id) => this.#read(id) ?? [])
      .sort((left, right) => left.id - right.id);
  }

  /** Asks a transfer to stop and waits for its end, though not for ever; false if there is none. */
  async cancel(id: number): Promise<boolean> {
    if (!this.#ids().includes(id) || !this.#read(id)) return false;
    writeFileSync(this.#cancelPath(id), '');
    const latest = performance.now() + longestCancelMs;
    while (existsSync(this.#recordPath(id)) && performance.now() < latest) await sleep(pollMs);
    return true;
  }

  #ids(): number[] {
    if (!existsSync(this.directory)) return [];
    return readdirSync(this.directory).flatMap((name) => Number(recordPattern.exec(name)?.[1] ?? NaN) || []);
  }

  #read(id: number): TransferSummary | undefined {
    const file = this.#recordPath(id);
    // Shared, so that two who list at once do not take each other for the owner.
    const stale = tryLock(file, 'shared');
    if (stale) {
      rmSync(this.#cancelPath(id), {force: true});
      stale.release({remove: true});
      return undefined;
    }
    return parseRecord(file, id);
  }

  #readLastId(): number {
    try {
      return Number(readFileSync(path.join(this.directory, 'last-id'), 'utf8')) || 0;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return 0;
      throw error;
    }
  }

  #recordPath(id: number): string {
    return path.join(this.directory, `${id}.json`);
  }

  #cancelPath(id: number): string {
    return path.join(this.directory, `${id}.cancel`);
  }
}

interface RecordOptions {
  lock: FileLock;
  cancelPath: string;
  onCancel: () => void;
}

/** One running transfer. Progress is written a few times a second at most. */
export class TransferRecord {
  readonly id: number;
  readonly #options: RecordOptions;
  readonly #timer: NodeJS.Timeout;
  #summary: TransferSummary;
  #isWritten = false;

  constructor(summary: TransferSummary, options: RecordOptions) {
    this.id = summary.id;
    this.#summary = summary;
    this.#options = options;
    this.#write();
    this.#timer = setInterval(() => this.#tick(), tickMs);
    this.#timer.unref();
  }

  update(fraction: number): void {
    this.#summary = {...this.#summary, fraction};
    this.#isWritten = false;
  }

  close(): void {
    clearInterval(this.#timer);
    rmSync(this.#options.cancelPath, {force: true});
    this.#options.lock.release({remove: true});
  }

  #tick(): void {
    try {
      if (!this.#isWritten) this.#write();
    } catch {
      // The disk is full, say: others see how far it was before. What that does to the transfer itself is found out there.
    }
    if (existsSync(this.#options.cancelPath)) this.#options.onCancel();
  }

  #write(): void {
    this.#isWritten = true;
    writeSync(this.#options.lock.fd, JSON.stringify(this.#summary).padEnd(recordBytes), 0);
  }
}

/** Undefined for a record that is not complete yet or not there any more. */
function parseRecord(file: string, id: number): TransferSummary | undefined {
  try {
    const value = JSON.parse(readFileSync(file, 'utf8')) as TransferSummary;
    return isImageClass(value.imageClass) ? {...value, id, fraction: value.fraction ?? undefined} : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
