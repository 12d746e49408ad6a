/**
 * The one cache of files from outside (design.md §4, §6). Keyed by digest and size, never by UUID, so that one source
 * cannot poison another. A file appears under its key only when its size and digests have been compared to the
 * last byte; a partial one is kept for the next run, in whichever process, and hashed again before it is continued.
 */

import {constants, openSync} from 'node:fs';
import {mkdir, rename, rm, statfs} from 'node:fs/promises';
import path from 'node:path';
import {maskUrl} from '../http/mask-url.ts';
import {type FileLock, tryLock, waitForLock} from '../sys/lock.ts';
import type {FileDigests} from '../verify/digester.ts';
import {Attempt, type RetryOptions} from './attempt.ts';
import {hashFile, openFile, openWritable, removeUnlessFile, sizeOfFile} from './cache-file.ts';
import type {CachedFile} from './cached-file.ts';
import {noSpace, storageFailure, wrongDigest} from './download-errors.ts';
import {lockEntry} from './entry-lock.ts';
import {evictOldest} from './eviction.ts';
import {type ExpectedFile, type FetchRequest, findMismatch, keyOf, keyOfUrl} from './fetch-request.ts';
import {ArrivingDigests} from './file-digests.ts';
import {removePartialNote} from './partial-note.ts';
import {type PrunedFile, type PruneOptions, pruneDownloads} from './prune.ts';
import {Quarantine} from './quarantine.ts';
import {UrlDownload} from './url-download.ts';

export interface DownloadCacheOptions extends RetryOptions {
  directory: string;
  /** Bound of all files together, partial ones too; the oldest go first. */
  maxBytes: number;
  /** Bound of the files that failed their verification (default 1 GiB). */
  quarantineBytes?: number;
}

const defaultQuarantineBytes = 2 ** 30;

interface Completed {
  digests: FileDigests;
  reusedBytes: number;
}

export class DownloadCache {
  readonly #options: DownloadCacheOptions;
  readonly #directory: string;
  /** Files that came and were not what they should be. */
  readonly quarantine: Quarantine;

  constructor(options: DownloadCacheOptions) {
    this.#options = options;
    this.#directory = path.join(options.directory, 'downloads');
    this.quarantine = new Quarantine({
      directory: path.join(options.directory, 'quarantine'),
      maxBytes: options.quarantineBytes ?? defaultQuarantineBytes,
    });
  }

  /** Directory of the finished and partial files. */
  get directory(): string {
    return this.#directory;
  }

  /**
   * Returns the verified file, from the cache or the network. A second caller for the same file, in any process, waits
   * for the first and then uses its result, or takes over when the first one dies. `DownloadError` when the bytes
   * are not the expected ones (they are removed) or the source stops in the middle for good, `ClientError` when it
   * cannot be asked, `NoSpace`, `Interrupted`: then what came is kept for the next run.
   */
  async fetch(request: FetchRequest): Promise<CachedFile> {
    const file = path.join(this.#directory, keyOf(request.expected));
    try {
      await mkdir(this.#directory, {recursive: true, mode: 0o700});
      return await this.#fetch(file, request);
    } catch (error) {
      throw await storageFailure(error, this.#directory, request.expected.sizeBytes);
    }
  }

  /**
   * Takes the lock of a URL of which nothing else is known, waiting for whoever pulls it now. What is fetched under
   * it is for this use alone; bytes that were not used up stay for the next run.
   */
  async openUrl(url: string, signal?: AbortSignal): Promise<UrlDownload> {
    const key = path.join(this.#directory, keyOfUrl(url));
    try {
      await mkdir(this.#directory, {recursive: true, mode: 0o700});
      const lock = await waitForLock(`${key}.lock`, {...(signal && {signal})});
      const makeRoom = (needBytes: number) => this.#makeRoom(needBytes);
      const {quarantine} = this;
      const place = {
        ...{directory: this.#directory, file: `${key}.partial`, url: maskUrl(url)},
        ...{lock, makeRoom, quarantine},
      };
      return new UrlDownload(place, this.#options);
    } catch (error) {
      throw await storageFailure(error, this.#directory, 0);
    }
  }

  /** Bytes of the file that are here already, whole or partial: what a space plan need not count. */
  async presentBytes(expected: ExpectedFile): Promise<number> {
    const file = path.join(this.#directory, keyOf(expected));
    const size = (await sizeOfFile(file)) ?? (await sizeOfFile(`${file}.partial`)) ?? 0;
    return Math.min(size, expected.sizeBytes);
  }

  /** Removes partial and old files, with `all` every file; those in use stay. Old ones are a week old. */
  prune(options: Omit<PruneOptions, 'nowMs'>): Promise<PrunedFile[]> {
    return pruneDownloads(this.#directory, {...options, nowMs: Date.now()});
  }

  async #fetch(file: string, request: FetchRequest): Promise<CachedFile> {
    for (;;) {
      const {mode, lock} = await lockEntry(file, request);
      if (mode === 'shared') {
        const digests = await this.#verified(file, lock, request);
        if (digests) return this.#hold(file, lock, {digests, reusedBytes: request.expected.sizeBytes});
        await this.#discard(file, request.signal);
        continue;
      }
      const completed = await this.#downloadLocked(file, lock, request);
      const shared = tryLock(`${file}.lock`, 'shared');
      if (shared && (await sizeOfFile(file)) !== undefined) return this.#hold(file, shared, completed);
      // Another process was faster with its own lock; it may even have evicted the file.
      shared?.release();
    }
  }

  #hold(file: string, lock: FileLock, {digests, reusedBytes}: Completed): CachedFile {
    const sizeBytes = Number(file.slice(file.lastIndexOf('-') + 1));
    const release = async (): Promise<void> => {
      lock.release();
      await evictOldest(this.#directory, this.#options.maxBytes);
    };
    return {path: file, sizeBytes, ...digests, reusedBytes, release};
  }

  /** A cached copy is verified as strictly as a fresh one (design.md §6). Keeps the lock only when it is right. */
  async #verified(file: string, lock: FileLock, request: FetchRequest): Promise<FileDigests | undefined> {
    const {expected, signal, onProgress} = request;
    const digests = new ArrivingDigests();
    let isRight = false;
    const handle = await openFile(file);
    try {
      const onBytes = (doneBytes: number): void => {
        onProgress?.({doneBytes, totalBytes: expected.sizeBytes, resumedAtBytes: 0, phase: 'verify'});
      };
      const sizeBytes = handle && (await hashFile(handle, digests.all, {signal, onBytes}));
      const found = digests.values();
      isRight = sizeBytes === expected.sizeBytes && !findMismatch(found, expected);
      return isRight ? found : undefined;
    } finally {
      await handle?.close();
      if (!isRight) lock.release();
    }
  }

  /** Removes a damaged file once nobody uses it any more. */
  async #discard(file: string, signal: AbortSignal | undefined): Promise<void> {
    const lock = await waitForLock(`${file}.lock`, {...(signal && {signal})});
    await rm(file, {force: true}).finally(() => lock.release());
  }

  /** Ends the lock, and its file when nothing is left to be locked. */
  async #downloadLocked(file: string, lock: FileLock, request: FetchRequest): Promise<Completed> {
    let isAnythingLeft = true;
    try {
      return await this.#download(file, request);
    } catch (error) {
      isAnythingLeft = (await sizeOfFile(`${file}.partial`)) !== undefined;
      throw error;
    } finally {
      lock.release({remove: !isAnythingLeft});
    }
  }

  async #download(file: string, request: FetchRequest): Promise<Completed> {
    const partial = `${file}.partial`;
    await this.#makeRoom(request.expected.sizeBytes - ((await sizeOfFile(partial)) ?? 0));
    const handle = await openWritable(partial);
    try {
      request.watcher?.opened({fd: openSync(partial, constants.O_RDONLY | constants.O_NOFOLLOW), path: file});
      const attempt = new Attempt({handle, path: partial, directory: this.#directory}, request);
      await attempt.adopt();
      await attempt.complete(this.#options);
      if (attempt.isStitched && findMismatch(attempt.digests(), request.expected)) {
        // Parts of different files, or damaged ones from an earlier run: once more, from the start.
        await attempt.startOver();
        await attempt.complete(this.#options);
      }
      const digests = attempt.digests();
      await this.#refuseWrong(partial, request, digests);
      await removeUnlessFile(file);
      await rename(partial, file);
      await removePartialNote(partial);
      return {digests, reusedBytes: attempt.reusedBytes};
    } finally {
      await handle.close();
    }
  }

  async #refuseWrong(partial: string, request: FetchRequest, digests: FileDigests): Promise<void> {
    const mismatch = findMismatch(digests, request.expected);
    if (!mismatch) return;
    const error = wrongDigest(request, mismatch, digests.sha256);
    const {subject, url, expected} = request;
    const note = {sha256: digests.sha256, sizeBytes: expected.sizeBytes, subject, url, reason: error.message};
    await this.quarantine.keep(partial, note);
    await removePartialNote(partial);
    throw error;
  }

  /** Old files go before a download fails for want of space. */
  async #makeRoom(needBytes: number): Promise<void> {
    await evictOldest(this.#directory, Math.max(0, this.#options.maxBytes - needBytes));
    const {bavail, bsize} = await statfs(this.#directory);
    const haveBytes = bavail * bsize;
    if (needBytes > haveBytes) throw noSpace(this.#directory, needBytes, haveBytes);
  }
}
