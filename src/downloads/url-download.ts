/**
 * A file of which only the URL is known: neither its size nor its digest can be asked for beforehand. Its bytes lie
 * in the cache under the hash of the URL, so no other URL can poison them, and what an earlier run left is gone on
 * with only if the source confirms by a strong validator that the file is still the same; it is hashed again before.
 */

import {constants, renameSync} from 'node:fs';
import {type FileHandle, open, rm} from 'node:fs/promises';
import {setTimeout as sleep} from 'node:timers/promises';
import {ImgctlError} from '../errors.ts';
import type {FileLock} from '../sys/lock.ts';
import {StreamDigest} from '../sys/stream-digest.ts';
import type {RetryOptions} from './attempt.ts';
import {hashFile, openWritable} from './cache-file.ts';
import type {FetchRetry} from './cached-file.ts';
import {interrupted, storageFailure} from './download-errors.ts';
import type {OpenedFile} from './fetch-request.ts';
import {Intake} from './intake.ts';
import {readPartialNote, removePartialNote, writePartialNote} from './partial-note.ts';
import type {Quarantine} from './quarantine.ts';

export interface UrlRequest {
  /**
   * Opens the file from an offset, which is only asked for together with a validator. Undefined when the bytes are
   * not needed after all. Tries passing failures again by itself; what it rejects with is final.
   */
  open(
    from: {offsetBytes: number; validator: string | undefined},
    signal: AbortSignal | undefined,
  ): Promise<OpenedFile | undefined>;
  maxBytes: number;
  signal?: AbortSignal;
  /** Gets the file for reading what has arrived, as `onBytes` tells it; closed with the download. */
  onOpen?: (fd: number) => void;
  onBytes?: (doneBytes: number, totalBytes: number | undefined) => void;
  onRetry?: (retry: FetchRetry) => void;
}

/** A whole download; good until its `UrlDownload` is closed. */
export interface UrlFile {
  /** Open for reading only; closed with the download. */
  fd: number;
  sizeBytes: number;
  /** Hex, of the bytes as transferred. */
  sha256: string;
  /** Takes it out of the cache, to a path of the same file system: it is the caller's then, whatever becomes of it. */
  moveTo(target: string): void;
}

export interface UrlPlace {
  directory: string;
  /** The partial file. */
  file: string;
  url: string;
  lock: FileLock;
  makeRoom: (needBytes: number) => Promise<void>;
  quarantine: Quarantine;
}

const longestRetryDelayMs = 30_000;
const quickRetryDelayMs = 50;
const goodPartBytes = 64 * 1024;
/** So much from one connection, or a tenth of the file, makes up for the failures before: a long download may lose many. */
const amendsBytes = 1024 * 1024;

/** Holds the lock of its URL from its making to `close`, which must be called. */
export class UrlDownload {
  readonly #place: UrlPlace;
  readonly #retries: RetryOptions;
  #handle: FileHandle | undefined;
  #reader: FileHandle | undefined;
  #isWhole = false;
  #isMoved = false;
  #digest = new StreamDigest('sha256');
  #doneBytes = 0;
  /** The furthest that answers of this run came; a source that always begins anew makes no progress. */
  #furthestBytes = 0;
  #totalBytes: number | undefined;
  #validator: string | undefined;

  constructor(place: UrlPlace, retries: RetryOptions) {
    this.#place = place;
    this.#retries = retries;
  }

  /** Brings the file here, or undefined when `open` says that it is not needed. Call once. */
  async fetch(request: UrlRequest): Promise<UrlFile | undefined> {
    try {
      this.#handle = await openWritable(this.#place.file);
      this.#reader = await open(this.#place.file, constants.O_RDONLY | constants.O_NOFOLLOW);
      request.onOpen?.(this.#reader.fd);
      await this.#adopt(request);
      if (!(await this.#complete(request))) return undefined;
    } catch (error) {
      if (request.signal?.aborted) throw interrupted(error);
      throw await storageFailure(error, this.#place.directory, (this.#totalBytes ?? 0) - this.#doneBytes);
    }
    this.#isWhole = true;
    return {
      fd: this.#reader.fd,
      sizeBytes: this.#doneBytes,
      sha256: this.#digest.hex(),
      moveTo: (target) => {
        renameSync(this.#place.file, target);
        this.#isMoved = true;
      },
    };
  }

  /** Ends the use. A whole file that was refused goes into quarantine; else bytes that are still of use stay for a later run, if it can be known then that they are right. */
  async close({isDone, refusal}: {isDone: boolean; refusal?: string | undefined}): Promise<void> {
    await this.#handle?.close();
    await this.#reader?.close();
    if (refusal !== undefined && this.#isWhole && !this.#isMoved) await this.#keepApart(refusal);
    const isUseful = !isDone && !this.#isMoved && this.#doneBytes > 0 && this.#validator !== undefined;
    try {
      if (!isUseful) await this.#discard();
    } finally {
      this.#place.lock.release({remove: !isUseful});
    }
  }

  async #keepApart(reason: string): Promise<void> {
    const {file, url, quarantine} = this.#place;
    const sha256 = this.#digest.hex();
    await quarantine.keep(file, {sha256, sizeBytes: this.#doneBytes, subject: url, url, reason});
  }

  async #discard(): Promise<void> {
    await rm(this.#place.file, {force: true});
    await removePartialNote(this.#place.file);
  }

  async #adopt({signal, maxBytes}: UrlRequest): Promise<void> {
    const handle = this.#opened();
    const {size} = await handle.stat();
    const note = size > 0 ? await readPartialNote(this.#place.file) : undefined;
    this.#validator = note?.url === this.#place.url ? note.validator : undefined;
    if (this.#validator === undefined || size > maxBytes) return this.#startOver();
    this.#doneBytes = await hashFile(handle, [this.#digest], {signal, onBytes: () => undefined});
  }

  async #startOver(): Promise<void> {
    await this.#opened().truncate(0);
    this.#digest = new StreamDigest('sha256');
    this.#doneBytes = 0;
    this.#validator = undefined;
  }

  /** False when the file is not needed. */
  async #complete(request: UrlRequest): Promise<boolean> {
    for (let failures = 0; ; ) {
      const opened = await this.#open(request);
      if (opened === undefined) return false;
      const cause = await this.#receive(opened, request);
      if (cause === undefined && (opened.totalBytes ?? this.#doneBytes) === this.#doneBytes) return true;
      const arrivedBytes = this.#doneBytes - this.#furthestBytes;
      if (arrivedBytes > 0 && arrivedBytes >= Math.min(amendsBytes, (this.#totalBytes ?? 0) / 10))
        failures = 0;
      this.#furthestBytes = Math.max(this.#furthestBytes, this.#doneBytes);
      const reason = cause ?? cutShort(this.#place.url, this.#doneBytes, opened.totalBytes);
      if (failures >= this.#retries.retries) throw reason;
      failures += 1;
      // Nothing says that a server which gave a good part is in trouble.
      const isQuick = arrivedBytes >= goodPartBytes;
      await this.#waitBeforeRetry(request, {attempt: failures, isQuick}, reason.message);
    }
  }

  async #open(request: UrlRequest): Promise<OpenedFile | undefined> {
    for (;;) {
      // Without a validator nothing tells whether the rest belongs to the beginning.
      if (this.#validator === undefined && this.#doneBytes > 0) await this.#startOver();
      const from = {offsetBytes: this.#doneBytes, validator: this.#validator};
      const opened = await request.open(from, request.signal);
      if (opened === undefined) return undefined;
      // It may fail before it is read; whoever reads it is told then.
      opened.body.on('error', () => undefined);
      try {
        if (opened.offsetBytes === 0 && this.#doneBytes > 0) await this.#startOver();
        if (opened.offsetBytes === this.#doneBytes && this.#isSame(opened)) {
          await this.#begin(opened, request);
          return opened;
        }
        if (this.#doneBytes === 0) throw wrongPart(this.#place.url, opened.offsetBytes);
        await this.#startOver();
      } catch (error) {
        opened.body.destroy();
        throw error;
      }
      opened.body.destroy();
    }
  }

  /** The answer that nothing is left need not name a validator: it was asked for under a condition. */
  #isSame({offsetBytes, totalBytes, validator}: OpenedFile): boolean {
    if (offsetBytes === 0 || validator === this.#validator) return true;
    return validator === undefined && offsetBytes === totalBytes;
  }

  async #begin(opened: OpenedFile, {maxBytes, onBytes}: UrlRequest): Promise<void> {
    const {file, url, makeRoom} = this.#place;
    this.#totalBytes = opened.totalBytes;
    if ((opened.totalBytes ?? 0) > maxBytes) throw tooLarge(url, maxBytes);
    await makeRoom((opened.totalBytes ?? 0) - this.#doneBytes);
    if (opened.offsetBytes === 0) this.#validator = opened.validator;
    if (this.#validator === undefined) await removePartialNote(file);
    else await writePartialNote(file, {url, validator: this.#validator});
    onBytes?.(this.#doneBytes, opened.totalBytes);
  }

  /** Takes what comes; resolves with the reason when the body broke off. Other failures reject. */
  async #receive(
    {body}: OpenedFile,
    {signal, maxBytes, onBytes}: UrlRequest,
  ): Promise<ImgctlError | undefined> {
    const {url} = this.#place;
    let excess: ImgctlError | undefined;
    const intake = new Intake(this.#opened().fd, {
      offsetBytes: this.#doneBytes,
      digests: [this.#digest],
      onWritten: (endBytes) => onBytes?.(endBytes, this.#totalBytes),
      onBytes: (endBytes) => {
        if (endBytes > maxBytes) excess = tooLarge(url, maxBytes);
        else if (endBytes > (this.#totalBytes ?? endBytes)) excess = moreThanAnnounced(url);
        if (excess) throw excess;
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
    await intake.flush();
    this.#doneBytes = intake.endBytes;
    if (excess) throw excess;
    if (broken === undefined) return undefined;
    if (signal?.aborted || !(broken instanceof ImgctlError) || !broken.retryable) throw broken;
    return broken;
  }

  async #waitBeforeRetry(
    {signal, onRetry}: UrlRequest,
    {attempt, isQuick}: {attempt: number; isQuick: boolean},
    cause: string,
  ): Promise<void> {
    const {retries, retryDelayMs} = this.#retries;
    const longestMs = isQuick ? quickRetryDelayMs : longestRetryDelayMs;
    const waitMs = Math.min(retryDelayMs * 2 ** (attempt - 1), longestMs);
    onRetry?.({attempt, of: retries, waitMs, cause});
    await sleep(waitMs, undefined, {...(signal && {signal})});
  }

  #opened(): FileHandle {
    if (this.#handle === undefined) throw new Error('The download is not open');
    return this.#handle;
  }
}

function tooLarge(url: string, maxBytes: number): ImgctlError {
  return new ImgctlError('LimitExceeded', `"${url}" has more than the limit of ${maxBytes} bytes`, {
    details: {limitBytes: maxBytes},
  });
}

function moreThanAnnounced(url: string): ImgctlError {
  return new ImgctlError('DownloadError', `"${url}" has more bytes than it announced`);
}

function wrongPart(url: string, offsetBytes: number): ImgctlError {
  return new ImgctlError(
    'DownloadError',
    `"${url}" began at byte ${offsetBytes} when asked for the whole file`,
  );
}

function cutShort(url: string, doneBytes: number, totalBytes: number | undefined): ImgctlError {
  return new ImgctlError('DownloadError', `"${url}" ended after ${doneBytes} of ${totalBytes} bytes`, {
    retryable: true,
    hint: 'run the same command again to continue the download',
  });
}
