/** What the cache is asked for, and how an expected file is named and compared. */

import {createHash} from 'node:crypto';
import type {Readable} from 'node:stream';
import {ImgctlError} from '../errors.ts';
import type {FileDigests} from '../verify/digester.ts';
import type {FetchProgress, FetchRetry} from './cached-file.ts';

/** One digest at least; all that are given must fit. */
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

/** Sees a file while it arrives, before anything is known of its digests. */
export interface ArrivalWatcher {
  /**
   * Gets the file, open for reading, which is the watcher's to close; `path` is where it will be once it is right. Not
   * called for a file that is here already.
   */
  opened(file: {fd: number; path: string}): void;
  /** So much of it is there; 0 when it begins anew, and then what was there before counts for nothing. */
  reached(sizeBytes: number): void;
}

export interface FetchRequest {
  /** What the file is called in messages: an image's UUID. */
  subject: string;
  /** Where it comes from, for messages; credentials already masked. */
  url: string;
  expected: ExpectedFile;
  /** Tries passing failures again by itself; what it rejects with is final. */
  open(
    from: {offsetBytes: number; validator: string | undefined},
    signal: AbortSignal | undefined,
  ): Promise<OpenedFile>;
  signal?: AbortSignal;
  onProgress?: (progress: FetchProgress) => void;
  watcher?: ArrivalWatcher;
  /** Each time a download that broke in the middle is about to be continued. */
  onRetry?: (retry: FetchRetry) => void;
}

/** The digest becomes part of a file name, so what is no digest must not get there. */
export function keyOf({sizeBytes, sha1, sha256}: ExpectedFile): string {
  const isUsable =
    (sha1 ?? sha256) !== undefined &&
    (sha1 === undefined || /^[0-9a-f]{40}$/.test(sha1)) &&
    (sha256 === undefined || /^[0-9a-f]{64}$/.test(sha256)) &&
    Number.isSafeInteger(sizeBytes) &&
    sizeBytes >= 0;
  if (!isUsable) {
    throw new ImgctlError('DownloadError', 'the expected digest or size of the file is not usable');
  }
  return `${sha256 ? `sha256-${sha256}` : `sha1-${sha1}`}-${sizeBytes}`;
}

/** The name for a file of which only the URL is known. */
export function keyOfUrl(url: string): string {
  return `url-${createHash('sha256').update(url).digest('hex')}`;
}

/** Names of data files as `keyOf` and `keyOfUrl` make them, whole and partial ones. */
export const dataFileName =
  /^(sha1-[0-9a-f]{40}-\d+|sha256-[0-9a-f]{64}-\d+|url-[0-9a-f]{64})(?:\.partial)?$/;

export interface DigestMismatch {
  algorithm: 'sha1' | 'sha256';
  expected: string;
  actual: string;
}

/** The first expected digest that does not fit. */
export function findMismatch(digests: FileDigests, expected: ExpectedFile): DigestMismatch | undefined {
  for (const algorithm of ['sha1', 'sha256'] as const) {
    const wanted = expected[algorithm];
    if (wanted !== undefined && wanted !== digests[algorithm]) {
      return {algorithm, expected: wanted, actual: digests[algorithm]};
    }
  }
  return undefined;
}
