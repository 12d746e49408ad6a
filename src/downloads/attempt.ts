/**
 * One file on its way into the cache. Bytes are hashed as they are written, each at the offset it belongs to, so
 * what the digests say of the bytes received is true of the file.
 */

import type {FileHandle} from 'node:fs/promises';
import {setTimeout as sleep} from 'node:timers/promises';
import type {ImgctlError} from '../errors.ts';
import type {FileDigests} from '../verify/digester.ts';
import {hashFile} from './cache-file.ts';
import {
  interrupted,
  longFile,
  noLength,
  otherLength,
  shortFile,
  sourceFailure,
  storageFailure,
  wrongPart,
} from './download-errors.ts';
import type {FetchRequest, OpenedFile} from './fetch-request.ts';
import {ArrivingDigests} from './file-digests.ts';
import {Intake} from './intake.ts';
import {readPartialNote, writePartialNote} from './partial-note.ts';

export interface RetryOptions {
  /** How often a download that broke in the middle is continued without coming further to speak of. */
  retries: number;
  /** Wait before the first continuation; doubles each time. */
  retryDelayMs: number;
}

export interface AttemptPlace {
  /** The partial file, open; the attempt is the only one who uses it. */
  handle: FileHandle;
  path: string;
  /** Directory of the cache, for messages. */
  directory: string;
}

const longestRetryDelayMs = 30_000;
/** So much further, or a twentieth of the file, makes up for the failures before: who gives a few bytes each time is given up. */
const amendsBytes = 64 * 1024;

export class Attempt {
  readonly #place: AttemptPlace;
  readonly #request: FetchRequest;
  #digests = new ArrivingDigests();
  #doneBytes = 0;
  #reusedBytes = 0;
  /** How far answers of this run had come when failures were last forgiven; who always begins anew makes no progress. */
  #reckonedBytes = 0;
  /** Whether the bytes come from more than one answer: then they may not belong together. */
  #isStitched = false;
  #validator: string | undefined;

  constructor(place: AttemptPlace, request: FetchRequest) {
    this.#place = place;
    this.#request = request;
  }

  /** Bytes that an earlier run left and this one goes on from. */
  get reusedBytes(): number {
    return this.#reusedBytes;
  }

  get isStitched(): boolean {
    return this.#isStitched;
  }

  digests(): FileDigests {
    return this.#digests.values();
  }

  /** Takes over what an earlier run left. */
  async adopt(): Promise<void> {
    const {handle, path} = this.#place;
    const {expected, signal, url, onProgress, watcher} = this.#request;
    const {size} = await handle.stat();
    if (size > expected.sizeBytes) return this.startOver();
    const note = size > 0 ? await readPartialNote(path) : undefined;
    // Another source's validator says nothing about this one.
    this.#validator = note?.url === url ? note.validator : undefined;
    this.#doneBytes = await hashFile(handle, this.#digests.all, {
      signal,
      onBytes: (doneBytes) => {
        onProgress?.({doneBytes, totalBytes: expected.sizeBytes, resumedAtBytes: 0, phase: 'verify'});
      },
    });
    this.#reusedBytes = this.#doneBytes;
    this.#isStitched = this.#doneBytes > 0;
    watcher?.reached(this.#doneBytes);
  }

  async startOver(): Promise<void> {
    this.#request.watcher?.reached(0);
    await this.#place.handle.truncate(0);
    this.#digests = new ArrivingDigests();
    this.#doneBytes = 0;
    this.#reusedBytes = 0;
    this.#isStitched = false;
    this.#validator = undefined;
  }

  /** Reads from the source until the expected size is there; continues when the body breaks off. */
  async complete(options: RetryOptions): Promise<void> {
    let failures = 0;
    while (this.#doneBytes < this.#request.expected.sizeBytes) {
      const opened = await this.#open();
      const cause = await this.#receive(opened);
      if (this.#doneBytes === this.#request.expected.sizeBytes) return;
      const arrivedBytes = this.#doneBytes - this.#reckonedBytes;
      if (arrivedBytes >= Math.min(amendsBytes, this.#request.expected.sizeBytes / 20)) {
        failures = 0;
        this.#reckonedBytes = this.#doneBytes;
      }
      if (failures >= options.retries) throw shortFile(this.#request, this.#doneBytes, cause);
      failures += 1;
      this.#isStitched = this.#doneBytes > 0;
      await this.#waitBeforeRetry(options, failures, cause);
    }
  }

  /** An answer that goes on from where the file ends, or begins it anew. */
  async #open(): Promise<OpenedFile> {
    const {open, signal} = this.#request;
    for (;;) {
      const from = {offsetBytes: this.#doneBytes, validator: this.#validator};
      const opened = await open(from, signal).catch((error) => {
        throw sourceFailure(error, this.#request);
      });
      // It may fail before it is read; whoever reads it is told then.
      opened.body.on('error', () => undefined);
      try {
        this.#checkAnnounced(opened);
        if (opened.offsetBytes === 0 && this.#doneBytes > 0) await this.startOver();
        if (this.#fits(opened)) {
          this.#validator = opened.validator;
          await writePartialNote(this.#place.path, {url: this.#request.url, validator: opened.validator});
          return opened;
        }
        if (this.#doneBytes === 0) throw wrongPart(this.#request, opened.offsetBytes);
        await this.startOver();
      } catch (error) {
        opened.body.destroy();
        throw error;
      }
      opened.body.destroy();
    }
  }

  /** A source that ignores the condition of a range tells by its validator that the file is another one. */
  #fits({offsetBytes, validator}: OpenedFile): boolean {
    if (offsetBytes !== this.#doneBytes) return false;
    return offsetBytes === 0 || this.#validator === undefined || validator === this.#validator;
  }

  #checkAnnounced({totalBytes}: OpenedFile): void {
    if (totalBytes === undefined) throw noLength(this.#request);
    if (totalBytes !== this.#request.expected.sizeBytes) throw otherLength(this.#request, totalBytes);
  }

  /** Takes what comes; resolves with the reason when the body broke off. Other failures reject. */
  async #receive({body}: OpenedFile): Promise<ImgctlError | undefined> {
    const {handle} = this.#place;
    let excess: ImgctlError | undefined;
    const intake = new Intake(handle.fd, {
      offsetBytes: this.#doneBytes,
      digests: this.#digests.all,
      onWritten: (doneBytes) => this.#tell(doneBytes),
      onBytes: (endBytes) => {
        if (endBytes <= this.#request.expected.sizeBytes) return;
        excess = longFile(this.#request);
        throw excess;
      },
    });
    let broken: unknown;
    try {
      await intake.receive(body);
    } catch (error) {
      broken = error;
    } finally {
      body.destroy();
    }
    await this.#written(intake.flush());
    this.#doneBytes = intake.endBytes;
    if (excess) throw excess;
    if (broken === undefined) return undefined;
    const failure = sourceFailure(broken, this.#request);
    if (!failure.retryable) throw failure;
    return failure;
  }

  #tell(doneBytes: number): void {
    const {expected, onProgress, watcher} = this.#request;
    watcher?.reached(doneBytes);
    const resumedAtBytes = this.#reusedBytes;
    onProgress?.({doneBytes, totalBytes: expected.sizeBytes, resumedAtBytes, phase: 'download'});
  }

  async #written(writing: Promise<void>): Promise<void> {
    try {
      await writing;
    } catch (error) {
      const missingBytes = this.#request.expected.sizeBytes - this.#doneBytes;
      throw await storageFailure(error, this.#place.directory, missingBytes);
    }
  }

  async #waitBeforeRetry(
    options: RetryOptions,
    attempt: number,
    cause: ImgctlError | undefined,
  ): Promise<void> {
    const {signal, onRetry} = this.#request;
    const waitMs = Math.min(options.retryDelayMs * 2 ** (attempt - 1), longestRetryDelayMs);
    const text = cause?.message ?? `the source sent ${this.#doneBytes} bytes and no more`;
    onRetry?.({attempt, of: options.retries, waitMs, cause: text});
    await sleep(waitMs, undefined, {...(signal && {signal})}).catch((error) => {
      throw interrupted(error);
    });
  }
}
