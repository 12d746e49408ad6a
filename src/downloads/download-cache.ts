/**
 * The one cache of files from outside (design.md §4, §6). Keyed by digest and size, never by UUID, so that one source
 * cannot poison another. A file appears under its key only when its size and digests have been compared to the
 * last byte; a partial one is kept for the next run, in whichever process, and hashed again before it is continued.
 */

import {createReadStream} from 'node:fs';
import {type FileHandle, mkdir, open, rename, rm, stat, statfs} from 'node:fs/promises';
import path from 'node:path';
import type {Readable} from 'node:stream';
import {errnoOf, ImgctlError} from '../errors.ts';
import {type FileLock, tryLock, waitForLock} from '../sys/lock.ts';
import {FileDigester, type FileDigests} from '../verify/digester.ts';
import type {CachedFile, FetchProgress, FetchRetry} from './cached-file.ts';
import {evictOldest} from './eviction.ts';
import {readPartialNote, writePartialNote} from './partial-note.ts';

export interface ExpectedFile {
  sizeBytes: number;
  sha1?: string;
  sha256?: string;
}

/** What a source gives when asked for the file from an offset; the cache destroys `body`. */
export interface OpenedFile {
  body: Readable;
  offsetBytes: number;
  totalBytes: number | undefined;
  validator: string | undefined;
}

export interface FetchRequest {
  /** What the file is called in messages: an image's UUID. */
  subject: string;
  /** Where it comes from, for messages; credentials already masked. */
  url: string;
  expected: ExpectedFile;
  open(
    from: {offsetBytes: number; validator: string | undefined},
    signal: AbortSignal | undefined,
  ): Promise<OpenedFile>;
  signal?: AbortSignal;
  onProgress?: (progress: FetchProgress) => void;
  /** Each time a broken connection is about to be tried again. */
  onRetry?: (retry: FetchRetry) => void;
}

export interface DownloadCacheOptions {
  directory: string;
  /** Bound of all finished files together; the oldest go first. */
  maxBytes: number;
  /** How often a download that broke in the middle is continued before it fails. */
  retries: number;
  /** Wait before the first continuation; doubles each time. */
  retryDelayMs: number;
}

/** Bytes read at a time when a file that is already here is hashed again. */
const hashChunkBytes = 1 << 20;

export class DownloadCache {
  readonly #options: DownloadCacheOptions;
  readonly #directory: string;

  constructor(options: DownloadCacheOptions) {
    this.#options = options;
    this.#directory = path.join(options.directory, 'downloads');
  }

  /** Directory of the finished and partial files. */
  get directory(): string {
    return this.#directory;
  }

  /**
   * Returns the verified file, from the cache or the network. A second caller for the same file, in any process, waits
   * for the first and then uses its result. `DownloadError` when the bytes are not the expected ones (they are
   * removed), `NoSpace`, `ClientError` when the network gives up (the partial is kept), `Interrupted`.
   */
  async fetch(request: FetchRequest): Promise<CachedFile> {
    await mkdir(this.#directory, {recursive: true, mode: 0o700});
    const file = path.join(this.#directory, keyOf(request.expected));
    for (;;) {
      const {digests, reusedBytes} = await this.#complete(file, request);
      const lock = tryLock(`${file}.lock`, 'shared');
      if (lock && (await exists(file))) {
        return {
          path: file,
          sizeBytes: request.expected.sizeBytes,
          ...digests,
          reusedBytes,
          release: () => this.#release(lock),
        };
      }
      // Another process evicted it, or is looking at it, between our two locks.
      lock?.release();
    }
  }

  /** Bytes of the file that are here already, whole or partial: what a space plan need not count. */
  async presentBytes(expected: ExpectedFile): Promise<number> {
    const file = path.join(this.#directory, keyOf(expected));
    for (const candidate of [file, `${file}.partial`]) {
      const found = await stat(candidate).catch(() => undefined);
      if (found) return Math.min(found.size, expected.sizeBytes);
    }
    return 0;
  }

  async #release(lock: FileLock): Promise<void> {
    lock.release();
    await evictOldest(this.#directory, this.#options.maxBytes);
  }

  /** Under the file's exclusive lock: makes sure that the whole verified file is there. */
  async #complete(file: string, request: FetchRequest): Promise<{digests: FileDigests; reusedBytes: number}> {
    const watch = this.#watchOtherProcess(file, request);
    const lock = await waitForLock(`${file}.lock`, {
      ...(request.signal && {signal: request.signal}),
      onWait: watch.start,
      afterMs: 200,
    }).finally(watch.stop);
    try {
      const cached = await this.#verifyCached(file, request);
      if (cached) return {digests: cached, reusedBytes: request.expected.sizeBytes};
      return await this.#download(file, request);
    } finally {
      lock.release();
    }
  }

  /** While another process downloads the same file, its progress is ours. */
  #watchOtherProcess(file: string, request: FetchRequest): {start: () => void; stop: () => void} {
    let timer: NodeJS.Timeout | undefined;
    const look = async (): Promise<void> => {
      const found = await stat(`${file}.partial`).catch(() => undefined);
      request.onProgress?.({
        doneBytes: found?.size ?? 0,
        totalBytes: request.expected.sizeBytes,
        resumedAtBytes: 0,
        phase: 'wait',
      });
    };
    return {
      start: () => {
        timer = setInterval(look, 500);
      },
      stop: () => clearInterval(timer),
    };
  }

  /** A cached copy is verified as strictly as a fresh one (design.md §6). */
  async #verifyCached(file: string, request: FetchRequest): Promise<FileDigests | undefined> {
    if (!(await exists(file))) return undefined;
    const tap = new FileDigester();
    const sizeBytes = await this.#hashInto(tap, file, request);
    const digests = tap.digests();
    if (sizeBytes === request.expected.sizeBytes && !mismatchOf(digests, request.expected)) return digests;
    await rm(file, {force: true});
    return undefined;
  }

  async #hashInto(tap: FileDigester, file: string, request: FetchRequest): Promise<number> {
    let doneBytes = 0;
    const options = {highWaterMark: hashChunkBytes, ...(request.signal && {signal: request.signal})};
    try {
      for await (const chunk of createReadStream(file, options)) {
        tap.update(chunk);
        doneBytes += chunk.length;
        request.onProgress?.({
          doneBytes,
          totalBytes: request.expected.sizeBytes,
          resumedAtBytes: 0,
          phase: 'verify',
        });
      }
    } catch (error) {
      throw asDownloadError(error, request);
    }
    return doneBytes;
  }

  async #download(file: string, request: FetchRequest): Promise<{digests: FileDigests; reusedBytes: number}> {
    const partial = `${file}.partial`;
    const note = await readPartialNote(partial);
    const handle = await open(partial, 'a+', 0o600);
    try {
      const attempt = new Attempt(handle, request, note?.validator);
      attempt.reusedBytes = Math.min((await handle.stat()).size, request.expected.sizeBytes);
      await this.#checkSpace(request, attempt.reusedBytes);
      await this.#hashPartial(partial, attempt);
      await this.#transferAll(attempt, partial);
      const digests = attempt.tap.digests();
      const mismatch = mismatchOf(digests, request.expected);
      if (mismatch && attempt.reusedBytes > 0) {
        // The bytes kept from an earlier run may be the wrong ones: once more, from the start.
        await attempt.startOver();
        await this.#transferAll(attempt, partial);
      }
      const finalDigests = attempt.tap.digests();
      await this.#refuseWrong(partial, request, finalDigests);
      await rename(partial, file);
      await rm(`${partial}.json`, {force: true});
      return {digests: finalDigests, reusedBytes: attempt.reusedBytes};
    } finally {
      await handle.close();
    }
  }

  async #hashPartial(partial: string, attempt: Attempt): Promise<void> {
    const {size} = await attempt.handle.stat();
    if (size > attempt.request.expected.sizeBytes) return attempt.startOver();
    if (size > 0) attempt.doneBytes = await this.#hashInto(attempt.tap, partial, attempt.request);
  }

  async #refuseWrong(partial: string, request: FetchRequest, digests: FileDigests): Promise<void> {
    const mismatch = mismatchOf(digests, request.expected);
    if (!mismatch) return;
    await rm(partial, {force: true});
    await rm(`${partial}.json`, {force: true});
    throw new ImgctlError(
      'DownloadError',
      `image ${request.subject} file checksum (${mismatch.algorithm}) error: expected "${mismatch.expected}", downloaded checksum was "${mismatch.actual}"`,
      {
        details: {url: request.url, ...mismatch},
        hint: `${request.url} serves other bytes than the manifest says; nothing was kept`,
      },
    );
  }

  /** Continues a download that breaks in the middle, as often as the options say without progress. */
  async #transferAll(attempt: Attempt, partial: string): Promise<void> {
    let failures = 0;
    for (;;) {
      const before = attempt.doneBytes;
      try {
        return await attempt.run((validator) =>
          writePartialNote(partial, {url: attempt.request.url, validator}),
        );
      } catch (error) {
        const wrapped = asDownloadError(error, attempt.request);
        if (attempt.doneBytes > before) failures = 0;
        if (!wrapped.retryable || wrapped.code === 'NoSpace' || failures >= this.#options.retries)
          throw wrapped;
        failures += 1;
        const waitMs = Math.min(this.#options.retryDelayMs * 2 ** (failures - 1), 30_000);
        attempt.request.onRetry?.({
          attempt: failures,
          of: this.#options.retries,
          waitMs,
          cause: wrapped.message,
        });
        await pause(waitMs, attempt.request.signal);
      }
    }
  }

  async #checkSpace(request: FetchRequest, presentBytes: number): Promise<void> {
    const {bavail, bsize} = await statfs(this.#directory);
    const needBytes = request.expected.sizeBytes - presentBytes;
    const haveBytes = bavail * bsize;
    if (needBytes <= haveBytes) return;
    throw noSpace(this.#directory, needBytes, haveBytes);
  }
}

/** One file on its way: what is hashed and written so far. */
class Attempt {
  tap = new FileDigester();
  doneBytes = 0;
  reusedBytes = 0;
  readonly handle: FileHandle;
  readonly request: FetchRequest;
  #validator: string | undefined;

  constructor(handle: FileHandle, request: FetchRequest, validator: string | undefined) {
    this.handle = handle;
    this.request = request;
    this.#validator = validator;
  }

  async startOver(): Promise<void> {
    await this.handle.truncate(0);
    this.tap = new FileDigester();
    this.doneBytes = 0;
    this.reusedBytes = 0;
    this.#validator = undefined;
  }

  /** Opens the source at the present offset and reads to the end; rejects when the body breaks off. */
  async run(noteValidator: (validator: string | undefined) => Promise<void>): Promise<void> {
    const {request} = this;
    if (this.doneBytes === request.expected.sizeBytes) return;
    const opened = await request.open(
      {offsetBytes: this.doneBytes, validator: this.#validator},
      request.signal,
    );
    try {
      if (opened.offsetBytes !== this.doneBytes) await this.startOver();
      checkAnnounced(request, opened.totalBytes);
      this.#validator = opened.validator;
      await noteValidator(opened.validator);
      await this.#consume(opened.body);
    } finally {
      opened.body.destroy();
    }
    if (this.doneBytes < request.expected.sizeBytes) throw shortFile(request, this.doneBytes);
  }

  async #consume(body: Readable): Promise<void> {
    const {expected, onProgress} = this.request;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (this.doneBytes + chunk.length > expected.sizeBytes) throw tooLong(this.request);
      await this.handle.appendFile(chunk);
      this.tap.update(chunk);
      this.doneBytes += chunk.length;
      onProgress?.({
        doneBytes: this.doneBytes,
        totalBytes: expected.sizeBytes,
        resumedAtBytes: this.reusedBytes,
        phase: 'download',
      });
    }
  }
}

function checkAnnounced(request: FetchRequest, totalBytes: number | undefined): void {
  const {sizeBytes} = request.expected;
  if (totalBytes === undefined) {
    throw new ImgctlError('DownloadError', 'unexpected missing or invalid Content-Length header: undefined', {
      details: {url: request.url},
    });
  }
  if (totalBytes === sizeBytes) return;
  throw new ImgctlError(
    'DownloadError',
    `unexpected mismatch between expected size, ${sizeBytes}, and Content-Length header, ${totalBytes}`,
    {details: {url: request.url}, hint: `${request.url} does not hold the file that the manifest describes`},
  );
}

function shortFile(request: FetchRequest, doneBytes: number): ImgctlError {
  return new ImgctlError(
    'DownloadError',
    `image ${request.subject} file size error: expected ${request.expected.sizeBytes} bytes, downloaded ${doneBytes} bytes`,
    {
      details: {url: request.url},
      hint: 'run the same command again to continue the download',
      retryable: true,
    },
  );
}

function tooLong(request: FetchRequest): ImgctlError {
  return new ImgctlError(
    'DownloadError',
    `image ${request.subject} file size error: expected ${request.expected.sizeBytes} bytes, but the source sent more`,
    {details: {url: request.url}},
  );
}

/** Need, have and where, as every space error says it (ux.md §10). */
export function noSpace(place: string, needBytes: number, haveBytes: number): ImgctlError {
  return new ImgctlError(
    'NoSpace',
    `not enough space in "${place}": need ${needBytes} bytes, have ${haveBytes}`,
    {
      details: {path: place, needBytes, haveBytes},
      hint: `free some space and run the same command again; what was downloaded is kept`,
      retryable: true,
    },
  );
}

/** The digest becomes part of a file name, so what is no digest must not get there. */
function keyOf(expected: ExpectedFile): string {
  const isUsable = [expected.sha1 ?? expected.sha256, expected.sha256 ?? expected.sha1].every((digest) => {
    return digest !== undefined && /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(digest);
  });
  if (!isUsable || !Number.isSafeInteger(expected.sizeBytes) || expected.sizeBytes < 0) {
    throw new ImgctlError('DownloadError', 'the expected digest or size of the file is not usable');
  }
  const digest = expected.sha256 ? `sha256-${expected.sha256}` : `sha1-${expected.sha1}`;
  return `${digest}-${expected.sizeBytes}`;
}

function mismatchOf(
  digests: FileDigests,
  expected: ExpectedFile,
): {algorithm: string; expected: string; actual: string} | undefined {
  for (const algorithm of ['sha1', 'sha256'] as const) {
    const wanted = expected[algorithm];
    if (wanted && wanted.toLowerCase() !== digests[algorithm]) {
      return {algorithm, expected: wanted, actual: digests[algorithm]};
    }
  }
  return undefined;
}

function asDownloadError(error: unknown, request: FetchRequest): ImgctlError {
  if (error instanceof ImgctlError) return error;
  if (request.signal?.aborted || (error instanceof Error && error.name === 'AbortError')) {
    return new ImgctlError('Interrupted', 'interrupted', {cause: error});
  }
  const reason = error instanceof Error ? error.message : String(error);
  if (errnoOf(error) === 'ENOSPC') {
    return new ImgctlError('NoSpace', `disk full while downloading image ${request.subject}`, {
      cause: error,
      hint: 'free some space and run the same command again; what was downloaded is kept',
      retryable: true,
    });
  }
  return new ImgctlError(
    'DownloadError',
    `download of image ${request.subject} from ${request.url} failed: ${reason}`,
    {
      cause: error,
      hint: 'run the same command again to continue where it stopped',
      retryable: true,
    },
  );
}

async function exists(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(new ImgctlError('Interrupted', 'interrupted'));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, {once: true});
  });
}
