/**
 * A server of the older dataset API as a source, read-only (spec/imgapi.md §6): manifests of version 1, and files
 * wherever `files[0].url` says. Raw answers, see `verified.ts`.
 */

import {ImgctlError} from '../errors.ts';
import type {HttpAnswer, HttpClient} from '../http/http-client.ts';
import {maskUrl} from '../http/mask-url.ts';
import {readBody} from '../http/read-body.ts';
import {rangeHeaders, servedFile} from '../http/served-file.ts';
import {serverError, successJson} from '../imgapi/answer.ts';
import {defaultLimits, type ImgapiLimits} from '../imgapi/limits.ts';
import {collectPages} from '../imgapi/list-pages.ts';
import {pingError, pingProblem} from '../imgapi/ping.ts';
import {parseSourceUrl, type SourceUrl} from '../imgapi/source-url.ts';
import type {
  ImageSource,
  ListOptions,
  OpenFileOptions,
  SourceFile,
  SourceListing,
  SourceSettings,
} from './source.ts';

export class DsapiSource implements ImageSource {
  readonly settings: SourceSettings;
  readonly #http: HttpClient;
  readonly #limits: ImgapiLimits;
  readonly #shownUrl: string;
  readonly #url: SourceUrl;

  /** Throws `ConfigError` for a URL that does not end as the contract asks. */
  constructor(settings: SourceSettings, http: HttpClient, limits: Partial<ImgapiLimits> = {}) {
    const url = parseSourceUrl(settings.url);
    if (!url.base.endsWith('/datasets')) {
      throw new ImgctlError(
        'ConfigError',
        `"dsapi" source URL does not end with "/datasets": "${maskUrl(settings.url)}"`,
      );
    }
    this.settings = settings;
    this.#http = http;
    this.#limits = {...defaultLimits, ...limits};
    this.#shownUrl = maskUrl(settings.url);
    this.#url = url;
  }

  async ping(options: ListOptions = {}): Promise<void> {
    const parent = this.#url.base.slice(0, -'/datasets'.length);
    let answer: HttpAnswer;
    try {
      answer = await this.#get(`${parent}/ping`, {...options, limitBytes: this.#limits.documentBytes});
    } catch (error) {
      if (!(error instanceof ImgctlError)) throw error;
      throw pingError(this.settings, String(error.details?.reason ?? error.message), error);
    }
    if (answer.status === 200) return;
    throw pingError(this.settings, pingProblem(answer) ?? `statusCode ${answer.status}`);
  }

  async listImages(options: ListOptions = {}): Promise<SourceListing | undefined> {
    const {validator} = options;
    const answer = await this.#get(this.#url.base, {
      ...options,
      limitBytes: this.#limits.listingBytes,
      headers: validator === undefined ? {} : {'if-none-match': validator},
    });
    if (answer.status === 304 && validator !== undefined) return undefined;
    const json = successJson(answer, this.#shownUrl);
    if (!Array.isArray(json)) {
      throw new ImgctlError('InternalError', `${this.#shownUrl}: the answer is not a list of datasets`);
    }
    // This API has no pages; what looks like a full one is the whole all the same.
    const {manifests, warnings} = await collectPages(json, {
      fetchPage: async () => [],
      maxImages: this.#limits.images,
    });
    return {manifests, warnings, validator: answer.headers.etag};
  }

  async findImage(uuid: string, options: ListOptions = {}): Promise<unknown> {
    const url = `${this.#url.base}/${encodeURIComponent(uuid)}`;
    const answer = await this.#get(url, {...options, limitBytes: this.#limits.documentBytes});
    return answer.status === 404 ? undefined : successJson(answer, this.#shownUrl);
  }

  /** Asks for the manifest each time: only there stands where the file is, and it may move. */
  async openFile(uuid: string, options: OpenFileOptions = {}): Promise<SourceFile> {
    const {offsetBytes = 0, validator, signal} = options;
    const url = this.#fileUrl(await this.findImage(uuid, signal ? {signal} : {}), uuid);
    const shown = maskUrl(url);
    const answer = await this.#http.openStream(url, {
      headers: {accept: '*/*', ...rangeHeaders(offsetBytes, validator)},
      ...(signal && {signal}),
    });
    try {
      const isFile = answer.status === 200 || (offsetBytes > 0 && [206, 416].includes(answer.status));
      if (!isFile) {
        const body = await readBody(answer.body, this.#limits.documentBytes, shown);
        throw serverError({status: answer.status, body}, shown);
      }
      const file = servedFile(answer, offsetBytes, shown);
      if (file?.body !== answer.body) answer.body.destroy();
      return file ?? (await this.openFile(uuid, signal ? {signal} : {}));
    } catch (error) {
      answer.body.destroy();
      throw error;
    }
  }

  /** A source behind https must not send us to plain http, as with redirects. */
  #fileUrl(manifest: unknown, uuid: string): string {
    const {files} = Object(manifest) as {files?: unknown};
    const url = Array.isArray(files) ? Object(files[0]).url : undefined;
    const shown = typeof url === 'string' ? maskUrl(url.slice(0, 1024)) : '';
    const scheme = typeof url === 'string' && URL.canParse(url) ? new URL(url).protocol : '';
    const isAllowed = scheme === 'https:' || (scheme === 'http:' && this.#url.base.startsWith('http:'));
    if (isAllowed) return String(url);
    throw new ImgctlError(
      'DownloadError',
      `image ${uuid} has no usable file URL in source "${this.#shownUrl}": "${shown}"`,
    );
  }

  #get(
    url: string,
    options: {signal?: AbortSignal; limitBytes: number; headers?: Record<string, string>},
  ): Promise<HttpAnswer> {
    const {signal, limitBytes} = options;
    const query = this.#url.query.length === 0 ? '' : `?${new URLSearchParams(this.#url.query)}`;
    return this.#http.request(`${url}${query}`, {
      headers: {accept: 'application/json', ...options.headers},
      limitBytes,
      shownUrl: this.#shownUrl,
      ...(signal && {signal}),
    });
  }
}
