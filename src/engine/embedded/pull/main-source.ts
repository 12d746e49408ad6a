/** Where the image of a pull comes from: one URL, asked as importd asks (spec/engine.md §2), with resume on top. */
import {createReadStream, fstatSync, openSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import type {OpenedFile} from '../../../downloads/fetch-request.ts';
import {errnoOf, ImgctlError} from '../../../errors.ts';
import type {HttpClient, StreamAnswer} from '../../../http/http-client.ts';
import {maskUrl} from '../../../http/mask-url.ts';
import {rangeHeaders, servedFile} from '../../../http/served-file.ts';
import {isFileUrl} from '../../../import1/pull-url.ts';

/** Redirects that one download follows, as the library under importd has it. */
export const maxRedirects = 30;

type Log = (level: number, line: string) => void;
type From = {offsetBytes: number; validator: string | undefined};

/** The server does not give the file; how it said so is in `statusCode`, where it spoke HTTP at all. */
export class RetrievalError extends ImgctlError {
  readonly statusCode: number | undefined;

  constructor(message: string, statusCode: number | undefined, cause?: unknown) {
    super('DownloadError', message, {...(cause === undefined ? {} : {cause}), details: {statusCode}});
    this.name = 'RetrievalError';
    this.statusCode = statusCode;
  }
}

export interface MainSourceOptions {
  url: string;
  http: () => Promise<HttpClient>;
  log: Log;
  /** Validators of copies that are here already. */
  oldEtags: readonly string[];
}

export class MainSource {
  /** Of the last answer. */
  etag: string | undefined;
  /** Last-Modified in milliseconds. */
  modifiedMs: number | undefined;
  /** Set once the server says that a copy which is here is still current. */
  currentEtag: string | undefined;
  readonly #options: MainSourceOptions;

  constructor(options: MainSourceOptions) {
    this.#options = options;
  }

  /** Undefined when a copy that is here will do. */
  async open(from: From, signal: AbortSignal | undefined): Promise<OpenedFile | undefined> {
    const {url} = this.#options;
    return isFileUrl(url) ? openLocal(url) : await this.#openRemote(from, signal);
  }

  async #openRemote(from: From, signal: AbortSignal | undefined): Promise<OpenedFile | undefined> {
    const {url, oldEtags} = this.#options;
    for (let offsetBytes = from.offsetBytes; ; offsetBytes = 0) {
      const conditions: Record<string, string> =
        oldEtags.length === 0 ? {} : {'if-none-match': oldEtags.join(', ')};
      const headers = {...conditions, ...rangeHeaders(offsetBytes, from.validator)};
      const answer = await this.#ask(headers, signal);
      try {
        if (this.#isHere(answer)) {
          answer.body.destroy();
          return undefined;
        }
        const served = this.#accept(answer, offsetBytes);
        if (served) return served;
      } catch (error) {
        answer.body.destroy();
        throw error;
      }
      answer.body.destroy();
      if (offsetBytes === 0) throw this.#refused(answer.status, `"${maskUrl(url)}" gives no whole file`);
    }
  }

  async #ask(headers: Record<string, string>, signal: AbortSignal | undefined): Promise<StreamAnswer> {
    const {url, log} = this.#options;
    try {
      const client = await this.#options.http();
      return await client.openStream(url, {
        headers,
        maxRedirects,
        anyEncoding: true,
        ...(signal && {signal}),
      });
    } catch (error) {
      if (!signal?.aborted) log(3, transferFailed(error));
      throw error;
    }
  }

  #isHere({status, headers}: StreamAnswer): boolean {
    const {oldEtags} = this.#options;
    const etag = headers.etag ?? (status === 304 && oldEtags.length === 1 ? oldEtags[0] : undefined);
    const isHere = etag !== undefined && oldEtags.includes(etag) && (status === 304 || status === 200);
    if (isHere) this.currentEtag = etag;
    return isHere;
  }

  #accept(answer: StreamAnswer, offsetBytes: number): OpenedFile | undefined {
    const {url} = this.#options;
    const {status, headers} = answer;
    if (status === 416 && offsetBytes > 0) return servedFile(answer, offsetBytes, maskUrl(url));
    if (status !== 200 && status !== 206) throw this.#refused(status);
    const served = servedFile(answer, offsetBytes, maskUrl(url));
    this.etag = headers.etag;
    const modified = Date.parse(headers['last-modified'] ?? '');
    this.modifiedMs = Number.isNaN(modified) ? undefined : modified;
    return served;
  }

  #refused(status: number, message?: string): RetrievalError {
    const {url, log} = this.#options;
    if (status === 401) log(3, 'Access to image requires authentication.');
    else log(5, `HTTP request to ${maskUrl(url)} failed with code ${status}.`);
    return new RetrievalError(
      message ?? `HTTP request for "${maskUrl(url)}" failed with status ${status}`,
      status,
    );
  }
}

/** How importd begins the line about a transfer that broke. */
export function transferFailed(error: unknown): string {
  const isRefused = error instanceof ImgctlError && error.details?.errno === 'ECONNREFUSED';
  const reason = error instanceof Error ? error.message : String(error);
  return `Transfer failed: ${isRefused ? 'Could not connect to server' : reason}`;
}

/** The file of a `file:` URL; nothing but a regular file will do. */
export function openLocal(url: string): OpenedFile {
  const path = pathOfFileUrl(url);
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    const status = errnoOf(error) === 'ENOENT' ? 404 : undefined;
    throw new RetrievalError(`"${path}" cannot be read: ${(error as Error).message}`, status, error);
  }
  const body = createReadStream(path, {fd, highWaterMark: 1 << 20});
  const stats = fstatSync(fd);
  if (!stats.isFile()) {
    body.destroy();
    throw new ImgctlError('InvalidArgument', `"${path}" is not a regular file`);
  }
  return {body, offsetBytes: 0, totalBytes: stats.size, validator: undefined};
}

function pathOfFileUrl(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw new ImgctlError('InvalidArgument', `"${url}" is not the URL of a local file`, {cause: error});
  }
}
