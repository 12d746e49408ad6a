/** Errors of downloads; the texts in quotes there are those of spec/imgadm.md §7.2. */

import {statfs} from 'node:fs/promises';
import {errnoOf, ImgctlError} from '../errors.ts';
import type {DigestMismatch, FetchRequest} from './fetch-request.ts';

const continueHint = 'run the same command again to continue the download';

export function noLength({url}: FetchRequest): ImgctlError {
  return new ImgctlError('DownloadError', 'unexpected missing or invalid Content-Length header: undefined', {
    details: {url},
  });
}

export function otherLength({url, expected}: FetchRequest, announcedBytes: number): ImgctlError {
  return new ImgctlError(
    'DownloadError',
    `unexpected mismatch between expected size, ${expected.sizeBytes}, and Content-Length header, ${announcedBytes}`,
    {details: {url}, hint: `${url} does not hold the file that the manifest describes`},
  );
}

/** The source stopped in the middle for good; the cause says why. */
export function shortFile(request: FetchRequest, doneBytes: number, cause: unknown): ImgctlError {
  const {url, subject, expected} = request;
  return new ImgctlError(
    'DownloadError',
    `image ${subject} file size error: expected ${expected.sizeBytes} bytes, downloaded ${doneBytes} bytes`,
    {cause, details: {url}, hint: continueHint, retryable: true},
  );
}

export function longFile({url, subject, expected}: FetchRequest): ImgctlError {
  return new ImgctlError(
    'DownloadError',
    `image ${subject} file size error: expected ${expected.sizeBytes} bytes, but the source sent more`,
    {details: {url}},
  );
}

export function wrongPart({url, subject}: FetchRequest, offsetBytes: number): ImgctlError {
  return new ImgctlError(
    'DownloadError',
    `image ${subject} file error: the source began at byte ${offsetBytes} when asked for the whole file`,
    {details: {url}},
  );
}

export function wrongDigest(
  {url, subject}: FetchRequest,
  mismatch: DigestMismatch,
  actualSha256: string,
): ImgctlError {
  const {algorithm, expected, actual} = mismatch;
  return new ImgctlError(
    'DownloadError',
    `image ${subject} file checksum (${algorithm}) error: expected "${expected}", downloaded checksum was "${actual}"`,
    {
      details: {url, ...mismatch},
      hint: `${url} serves other bytes than the manifest says; what it served: imgctl quarantine show ${actualSha256.slice(0, 12)}`,
    },
  );
}

/** Need, have and where, as every space error says it (ux.md §10). */
export function noSpace(place: string, needBytes: number, haveBytes: number, cause?: unknown): ImgctlError {
  return new ImgctlError(
    'NoSpace',
    `not enough space in "${place}": need ${needBytes} bytes, have ${haveBytes}`,
    {
      cause,
      details: {path: place, needBytes, haveBytes},
      hint: 'free some space and run the same command again; what was downloaded is kept',
      retryable: true,
    },
  );
}

/** What a source failed with: `Interrupted` when it was we who stopped it. */
export function sourceFailure(error: unknown, request: FetchRequest): ImgctlError {
  if (request.signal?.aborted) return interrupted(error);
  if (error instanceof ImgctlError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new ImgctlError(
    'DownloadError',
    `download of image ${request.subject} from ${request.url} failed: ${reason}`,
    {cause: error, hint: continueHint, retryable: true},
  );
}

/** What went wrong with a file of the cache; `needBytes` were still to be written. Other errors stay as they are. */
export async function storageFailure(error: unknown, directory: string, needBytes: number): Promise<unknown> {
  const errno = errnoOf(error);
  if (error instanceof ImgctlError || errno === undefined) return error;
  if (errno === 'ENOSPC' || errno === 'EDQUOT') {
    const free = await statfs(directory).catch(() => undefined);
    return noSpace(directory, needBytes, free ? free.bavail * free.bsize : 0, error);
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new ImgctlError('FileSystem', `cannot use download cache "${directory}": ${reason}`, {cause: error});
}

export function interrupted(cause?: unknown): ImgctlError {
  return new ImgctlError('Interrupted', 'interrupted', {cause});
}
