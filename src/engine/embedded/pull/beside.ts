/** Files beside the image of a pull: checksum lists and signatures into memory, side files onto the disk. */
import {createHash} from 'node:crypto';
import {writeSync} from 'node:fs';
import type {Readable} from 'node:stream';
import {ImgctlError} from '../../../errors.ts';
import type {HttpClient} from '../../../http/http-client.ts';
import {maskUrl} from '../../../http/mask-url.ts';
import {servedFile} from '../../../http/served-file.ts';
import {isFileUrl} from '../../../import1/pull-url.ts';
import {maxRedirects, openLocal, RetrievalError, transferFailed} from './main-source.ts';
import {formatBytes} from './pull-log.ts';

export interface BesideRequest {
  url: string;
  http: () => Promise<HttpClient>;
  log: (level: number, line: string) => void;
  signal: AbortSignal;
  maxBytes: number;
  onFraction?: (fraction: number) => void;
  /** Says nothing about a missing file: another place is asked next. */
  isQuietIfMissing?: boolean;
}

export interface BesideFile {
  sizeBytes: number;
  sha256: string;
  etag: string | undefined;
  modifiedMs: number | undefined;
}

/** Why there is no file: the server does not have it, or it did not come. */
export type Absent = 'missing' | 'failed';

interface Opened {
  body: Readable;
  totalBytes: number | undefined;
  etag: string | undefined;
  modifiedMs: number | undefined;
}

/** Reads a small file into memory. Only an abort rejects; everything else is told by the log and the result. */
export async function fetchSmall(request: BesideRequest): Promise<Buffer | Absent> {
  const chunks: Buffer[] = [];
  const result = await fetchInto(request, (chunk) => void chunks.push(chunk));
  return typeof result === 'string' ? result : Buffer.concat(chunks);
}

/** Writes a file to a descriptor at its start. Failing writes reject. */
export async function fetchToFile(request: BesideRequest, fd: number): Promise<BesideFile | Absent> {
  return await fetchInto(request, (chunk, position) => {
    for (let done = 0; done < chunk.length; ) {
      done += writeSync(fd, chunk, done, chunk.length - done, position + done);
    }
  });
}

async function fetchInto(
  request: BesideRequest,
  take: (chunk: Buffer, position: number) => void,
): Promise<BesideFile | Absent> {
  const {url, log, signal, onFraction} = request;
  const shown = maskUrl(url);
  let opened: Opened;
  try {
    opened = isFileUrl(url)
      ? {...openLocal(url), etag: undefined, modifiedMs: undefined}
      : await open(request);
  } catch (error) {
    return absent(error, request);
  }
  if (!isFileUrl(url) && opened.totalBytes !== undefined) {
    log(6, `Downloading ${formatBytes(opened.totalBytes)} for ${shown}.`);
  }
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of limited(opened, request)) {
    if (chunk === undefined) return 'failed';
    signal.throwIfAborted();
    take(chunk, sizeBytes);
    hash.update(chunk);
    sizeBytes += chunk.length;
    if (opened.totalBytes) onFraction?.(sizeBytes / opened.totalBytes);
  }
  log(6, `Acquired ${formatBytes(sizeBytes)} for ${shown}.`);
  log(6, `Download of ${shown} complete.`);
  onFraction?.(1);
  const {etag, modifiedMs} = opened;
  return {sizeBytes, sha256: hash.digest('hex'), etag, modifiedMs};
}

/** The chunks; `undefined` as the last when they end too early or are too many. */
async function* limited(opened: Opened, request: BesideRequest): AsyncGenerator<Buffer | undefined> {
  const {signal, log, maxBytes} = request;
  let sizeBytes = 0;
  try {
    for await (const chunk of opened.body as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) {
        log(3, 'Content too large.');
        yield undefined;
        return;
      }
      yield chunk;
    }
  } catch (error) {
    if (signal.aborted) throw error;
    log(3, transferFailed(error));
    yield undefined;
    return;
  } finally {
    opened.body.destroy();
  }
  if (opened.totalBytes === undefined || sizeBytes === opened.totalBytes) return;
  log(3, 'Transfer failed: Transferred a partial file');
  yield undefined;
}

async function open({url, http, signal, maxBytes}: BesideRequest): Promise<Opened> {
  const client = await http();
  const answer = await client.openStream(url, {signal, maxRedirects, anyEncoding: true});
  try {
    if (answer.status !== 200) throw new RetrievalError(`HTTP status ${answer.status}`, answer.status);
    const served = servedFile(answer, 0, maskUrl(url));
    if (!served || (served.totalBytes ?? 0) > maxBytes) {
      throw new ImgctlError(
        'LimitExceeded',
        `"${maskUrl(url)}" has more than the limit of ${maxBytes} bytes`,
      );
    }
    const modified = Date.parse(answer.headers['last-modified'] ?? '');
    const modifiedMs = Number.isNaN(modified) ? undefined : modified;
    return {body: served.body, totalBytes: served.totalBytes, etag: answer.headers.etag, modifiedMs};
  } catch (error) {
    answer.body.destroy();
    throw error;
  }
}

function absent(error: unknown, {url, log, signal, isQuietIfMissing}: BesideRequest): Absent {
  if (signal.aborted) throw error;
  const status = error instanceof RetrievalError ? error.statusCode : undefined;
  const isMissing = status === 404;
  if (isMissing && isQuietIfMissing) return 'missing';
  if (isFileUrl(url)) log(3, 'Transfer failed: Could not read a file:// file');
  else if (status !== undefined) log(5, `HTTP request to ${maskUrl(url)} failed with code ${status}.`);
  else if (error instanceof ImgctlError && error.code === 'LimitExceeded') log(3, 'Content too large.');
  else log(3, transferFailed(error));
  return isMissing ? 'missing' : 'failed';
}
