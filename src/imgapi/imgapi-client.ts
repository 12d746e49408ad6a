import {ImgctlError} from '../errors.ts';
import type {HttpAnswer, HttpClient} from '../http/http-client.ts';
import {maskUrl} from '../http/mask-url.ts';
import {readBody} from '../http/read-body.ts';
import {rangeHeaders, type ServedFile, servedFile} from '../http/served-file.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import {checkDigest, contentMd5, serverError, successJson} from './answer.ts';
import type {
  AddFileOptions,
  CallOptions,
  ImageListing,
  ImgapiClientOptions,
  ListCallOptions,
  OpenFileCallOptions,
  ServedChannel,
  ServedIcon,
  UnchangedListing,
} from './client-types.ts';
import {defaultLimits, type ImgapiLimits} from './limits.ts';
import {listAllImages} from './list-images.ts';
import {pingError, pingProblem} from './ping.ts';
import {parseSourceUrl, type SourceUrl} from './source-url.ts';

type Query = Record<string, string>;

export class ImgapiClient {
  readonly #http: HttpClient;
  readonly #shownUrl: string;
  readonly #url: SourceUrl;
  readonly #limits: ImgapiLimits;
  readonly #authorize: (() => Promise<Record<string, string>>) | undefined;

  /** `baseUrl` as the user wrote it; messages show it like that, without its secrets. Throws `InvalidArgument`. */
  constructor(http: HttpClient, baseUrl: string, options: ImgapiClientOptions = {}) {
    this.#http = http;
    this.#shownUrl = maskUrl(baseUrl);
    const url = parseSourceUrl(baseUrl);
    this.#url = {...url, channel: options.channel ?? url.channel};
    this.#limits = {...defaultLimits, ...options.limits};
    const {authentication} = options;
    this.#authorize = authentication && (() => authentication.headers());
  }

  /** Rejects with `SourcePing` when the server is not there or not an IMGAPI server. */
  async ping(options: CallOptions = {}): Promise<void> {
    let answer: HttpAnswer;
    try {
      answer = await this.#get('/ping', {}, {...options, limitBytes: this.#limits.documentBytes});
    } catch (error) {
      if (!(error instanceof ImgctlError)) throw error;
      throw pingError(this.#self, String(error.details?.reason ?? error.message), error);
    }
    const problem = pingProblem(answer);
    if (problem !== undefined) throw pingError(this.#self, problem);
  }

  get #self(): {type: string; url: string} {
    return {type: 'imgapi', url: this.#shownUrl};
  }

  /** Every image the query selects, all pages (spec/imgapi.md §3.2); by default every active image. */
  async listImages(
    query: Query = {},
    options: ListCallOptions = {},
  ): Promise<ImageListing | UnchangedListing> {
    const {signal} = options;
    return listAllImages(
      {
        limits: this.#limits,
        subject: this.#shownUrl,
        open: (page, headers) =>
          this.#http.requestStream(this.#urlOf('/images', {...query, ...page}), {
            headers: {...readHeaders, ...headers},
            shownUrl: this.#shownUrl,
            authorize: this.#authorize,
            ...(signal && {signal}),
          }),
      },
      options,
    );
  }

  /** The raw manifest in any state; undefined when the server does not have the image. */
  async findImage(uuid: string, options: CallOptions = {}): Promise<unknown> {
    const call = {...options, limitBytes: this.#limits.documentBytes};
    const answer = await this.#get(imagePath(uuid), {}, call);
    return answer.status === 404 ? undefined : successJson(answer, this.#shownUrl);
  }

  /** The image's icon; undefined when there is no icon or no image. */
  async findIcon(uuid: string, options: CallOptions = {}): Promise<ServedIcon | undefined> {
    const call = {...options, headers: {accept: '*/*'}, limitBytes: this.#limits.iconBytes};
    const answer = await this.#get(`${imagePath(uuid)}/icon`, {}, call);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw serverError(answer, this.#shownUrl);
    checkDigest(answer, this.#shownUrl);
    const contentType = answer.headers['content-type'] ?? '';
    if (/^image\/(jpeg|png|gif)$/.test(contentType)) return {contentType, bytes: answer.body};
    throw new ImgctlError('InternalError', `${this.#shownUrl}: icon has unexpected type "${contentType}"`);
  }

  /** The server's channels; undefined when it has none. */
  async listChannels(options: CallOptions = {}): Promise<ServedChannel[] | undefined> {
    const answer = await this.#get('/channels', {}, {...options, limitBytes: this.#limits.documentBytes});
    if (answer.status === 404) return undefined;
    const json = successJson(answer, this.#shownUrl);
    if (Array.isArray(json) && json.every((entry) => typeof Object(entry).name === 'string')) return json;
    throw new ImgctlError('InternalError', `${this.#shownUrl}: the answer is not a list of channels`);
  }

  /** The image's file from an offset, or from 0 when the server cannot or the validator no longer holds. */
  async openFile(uuid: string, options: OpenFileCallOptions = {}): Promise<ServedFile> {
    const {offsetBytes = 0, validator, signal} = options;
    const answer = await this.#http.openStream(this.#urlOf(`${imagePath(uuid)}/file`), {
      headers: {accept: '*/*', 'accept-version': '~2', ...rangeHeaders(offsetBytes, validator)},
      shownUrl: this.#shownUrl,
      authorize: this.#authorize,
      ...(signal && {signal}),
    });
    try {
      const isFile = answer.status === 200 || (offsetBytes > 0 && [206, 416].includes(answer.status));
      if (!isFile) {
        const body = await readBody(answer.body, this.#limits.documentBytes, this.#shownUrl);
        throw serverError({status: answer.status, body}, this.#shownUrl);
      }
      const file = servedFile(answer, offsetBytes, this.#shownUrl);
      if (file?.body !== answer.body) answer.body.destroy();
      return file ?? (await this.openFile(uuid, signal ? {signal} : {}));
    } catch (error) {
      answer.body.destroy();
      throw error;
    }
  }

  /** Makes an unactivated image; the server chooses its UUID. Returns the server's manifest. */
  createImage(manifest: object, options: CallOptions = {}): Promise<ImageManifest> {
    return this.#write('POST', '/images', {}, {...options, json: manifest});
  }

  /** Makes an unactivated image with the UUID of the manifest. Returns the server's manifest. */
  importImage(manifest: ImageManifest, options: CallOptions = {}): Promise<ImageManifest> {
    return this.#write('POST', imagePath(manifest.uuid), {action: 'import'}, {...options, json: manifest});
  }

  /** Sends the file of an unactivated image; `UploadError` when the server received something else. */
  async addFile(uuid: string, options: AddFileOptions): Promise<ImageManifest> {
    const {body, sizeBytes, sha1, compression, datasetGuid, signal} = options;
    const query = {compression, sha1, ...(datasetGuid !== undefined && {dataset_guid: datasetGuid})};
    const answer = await this.#http.upload(this.#urlOf(`${imagePath(uuid)}/file`, query), {
      open: body,
      sizeBytes,
      headers: {...writeHeaders, 'content-type': 'application/octet-stream'},
      limitBytes: this.#limits.documentBytes,
      shownUrl: this.#shownUrl,
      authorize: this.#authorize,
      ...(signal && {signal}),
    });
    const manifest = this.#manifestIn(answer);
    const received = manifest.files?.[0];
    if (received?.sha1 !== sha1) throw uploadError('sha1', sha1, received?.sha1);
    if (received.size !== sizeBytes) throw uploadError('size', sizeBytes, received.size);
    return manifest;
  }

  /** Makes the image visible. Returns the server's manifest. */
  activate(uuid: string, options: CallOptions = {}): Promise<ImageManifest> {
    return this.#write('POST', imagePath(uuid), {action: 'activate'}, {...options, json: {}});
  }

  enable(uuid: string, options: CallOptions = {}): Promise<ImageManifest> {
    return this.#write('POST', imagePath(uuid), {action: 'enable'}, {...options, json: {}});
  }

  disable(uuid: string, options: CallOptions = {}): Promise<ImageManifest> {
    return this.#write('POST', imagePath(uuid), {action: 'disable'}, {...options, json: {}});
  }

  /** Changes fields of the manifest; null removes one. */
  updateImage(uuid: string, fields: object, options: CallOptions = {}): Promise<ImageManifest> {
    return this.#write('POST', imagePath(uuid), {action: 'update'}, {...options, json: fields});
  }

  changeAcl(
    uuid: string,
    {action, accounts}: {action: 'add' | 'remove'; accounts: readonly string[]},
    options: CallOptions = {},
  ): Promise<ImageManifest> {
    return this.#write('POST', `${imagePath(uuid)}/acl`, {action}, {...options, json: accounts});
  }

  /** Also to this channel; the client's own is where the image is found. */
  addToChannel(uuid: string, channel: string, options: CallOptions = {}): Promise<ImageManifest> {
    return this.#write('POST', imagePath(uuid), {action: 'channel-add'}, {...options, json: {channel}});
  }

  async addIcon(
    uuid: string,
    {contentType, bytes}: ServedIcon,
    options: CallOptions = {},
  ): Promise<ImageManifest> {
    const answer = await this.#http.request(this.#urlOf(`${imagePath(uuid)}/icon`), {
      ...options,
      method: 'PUT',
      body: bytes,
      headers: {...writeHeaders, 'content-type': contentType},
      limitBytes: this.#limits.documentBytes,
      shownUrl: this.#shownUrl,
      authorize: this.#authorize,
    });
    return this.#manifestIn(answer);
  }

  /** Where there are channels, from the client's one; the last one takes the image with it, and so does `allChannels`. */
  async deleteImage(uuid: string, options: CallOptions & {allChannels?: boolean} = {}): Promise<void> {
    const {allChannels, ...rest} = options;
    const query: Query = allChannels ? {force_all_channels: 'true'} : {};
    const answer = await this.#http.request(this.#urlOf(imagePath(uuid), query), {
      method: 'DELETE',
      headers: writeHeaders,
      limitBytes: this.#limits.documentBytes,
      shownUrl: this.#shownUrl,
      authorize: this.#authorize,
      ...rest,
    });
    if (answer.status < 200 || answer.status > 299) throw serverError(answer, this.#shownUrl);
  }

  #get(
    path: string,
    query: Query,
    call: CallOptions & {limitBytes: number; headers?: Record<string, string>},
  ): Promise<HttpAnswer> {
    const headers = {...readHeaders, ...call.headers};
    return this.#http.request(this.#urlOf(path, query), {
      ...call,
      headers,
      shownUrl: this.#shownUrl,
      authorize: this.#authorize,
    });
  }

  async #write(
    method: 'POST',
    path: string,
    query: Query,
    options: CallOptions & {json: object},
  ): Promise<ImageManifest> {
    const {json, ...rest} = options;
    const body = Buffer.from(JSON.stringify(json));
    const answer = await this.#http.request(this.#urlOf(path, query), {
      ...rest,
      method,
      body,
      headers: {...writeHeaders, 'content-type': 'application/json', 'content-md5': contentMd5(body)},
      limitBytes: this.#limits.documentBytes,
      shownUrl: this.#shownUrl,
      authorize: this.#authorize,
    });
    return this.#manifestIn(answer);
  }

  #manifestIn(answer: HttpAnswer): ImageManifest {
    const json = successJson(answer, this.#shownUrl);
    if (json !== null && typeof json === 'object' && !Array.isArray(json)) return json as ImageManifest;
    throw new ImgctlError('InternalError', `${this.#shownUrl}: the answer is not a manifest`);
  }

  #urlOf(path: string, query: Query = {}): string {
    const {channel} = this.#url;
    const all = [...this.#url.query, ...Object.entries(channel === undefined ? query : {...query, channel})];
    return `${this.#url.base}${path}${all.length === 0 ? '' : `?${new URLSearchParams(all)}`}`;
  }
}

const readHeaders = {accept: 'application/json', 'accept-version': '~2'};
const writeHeaders = {accept: 'application/json', 'accept-version': '*'};

function imagePath(uuid: string): string {
  return `/images/${encodeURIComponent(uuid)}`;
}

function uploadError(what: string, wanted: unknown, got: unknown): ImgctlError {
  return new ImgctlError('UploadError', `${what} expected to be ${wanted}, but was ${got}`, {
    retryable: true,
  });
}
