/**
 * One pull, from a URL to an image in place: downloaded into the cache, verified, decoded and unpacked by the child
 * with few rights into a staging directory, renamed. Whatever happens, nothing temporary stays but a partial download.
 */
import type {DownloadCache} from '../../../downloads/download-cache.ts';
import type {UrlFile} from '../../../downloads/url-download.ts';
import {ImgctlError} from '../../../errors.ts';
import type {DecompressLimits} from '../../../formats/decompress.ts';
import type {HttpClient} from '../../../http/http-client.ts';
import {maskUrl} from '../../../http/mask-url.ts';
import {isFileUrl} from '../../../import1/pull-url.ts';
import {setTimesAt} from '../../../sys/files.ts';
import {makeStaging, type Staging} from '../../../sys/staging.ts';
import {setXattr} from '../../../sys/xattr.ts';
import type {PullRequest, TransferResult} from '../../engine.ts';
import type {ChildMessage} from '../child-protocol.ts';
import {asImgctlError} from '../failure.ts';
import type {JobListener} from '../import-job.ts';
import {placeImage} from '../place-image.ts';
import type {Sandbox} from '../sandbox.ts';
import {runUnpackChild} from '../unpack-process.ts';
import {MainSource, RetrievalError} from './main-source.ts';
import {ArrivalLog, formatBytes} from './pull-log.ts';

/** What pulls need beyond what imports do. */
export interface PullSupport {
  http: () => Promise<HttpClient>;
  downloads: () => Promise<DownloadCache>;
  /** Greatest size of an image as it is transferred (default 64 GiB, as importd has it). */
  maxImageBytes?: number;
}

export interface PullJobOptions {
  request: PullRequest;
  support: PullSupport;
  sandbox: Sandbox;
  limits: DecompressLimits;
  maxEntries: number;
  signal: AbortSignal;
  listener: JobListener;
}

const defaultMaxImageBytes = 64 * 1024 ** 3;

export class PullJob {
  readonly #options: PullJobOptions;
  readonly #shownUrl: string;
  #decodedBytes = 0;

  constructor(options: PullJobOptions) {
    this.#options = options;
    this.#shownUrl = maskUrl(options.request.url);
  }

  /** Does it all; call once. */
  async run(): Promise<TransferResult> {
    const {request, signal} = this.#options;
    const {localName, store} = request;
    const saving = localName === undefined ? '' : `, saving as '${localName}'`;
    this.#log(6, `Pulling '${this.#shownUrl}'${saving}.`);
    this.#log(6, `Operating on image directory '${store.directory}'.`);
    try {
      const result = await this.#pull();
      this.#log(6, 'Operation completed successfully.');
      return result;
    } catch (error) {
      throw asImgctlError(error, `Pulling "${this.#shownUrl}"`, signal);
    }
  }

  async #pull(): Promise<TransferResult> {
    const {request, support, signal} = this.#options;
    if (request.verify !== 'no' || request.keepDownload || request.localName === undefined) {
      throw new ImgctlError(
        'NotSupported',
        'Only plain pulls are possible: no verification, no download copy',
      );
    }
    const downloads = await support.downloads();
    const download = await downloads.openUrl(request.url, signal);
    try {
      const source = new MainSource({
        url: request.url,
        http: support.http,
        log: (level, line) => this.#log(level, line),
        oldEtags: [],
      });
      const file = await this.#fetch(download, source);
      return await this.#store(file, source);
    } finally {
      await download.close();
    }
  }

  async #fetch(
    download: Awaited<ReturnType<DownloadCache['openUrl']>>,
    source: MainSource,
  ): Promise<UrlFile> {
    const {request, support, signal} = this.#options;
    const arrival = new ArrivalLog(this.#shownUrl, (level, line) => this.#log(level, line));
    let isAnnounced = isFileUrl(request.url);
    const onBytes = (doneBytes: number, totalBytes: number | undefined) => {
      if (!isAnnounced && totalBytes !== undefined) {
        isAnnounced = true;
        this.#log(6, `Downloading ${formatBytes(totalBytes)} for ${this.#shownUrl}.`);
      }
      arrival.update(doneBytes, totalBytes);
      if (totalBytes) this.#options.listener.reportProgress((0.8 * doneBytes) / totalBytes);
    };
    try {
      const file = await download.fetch({
        open: (from, openSignal) => source.open(from, openSignal),
        maxBytes: support.maxImageBytes ?? defaultMaxImageBytes,
        signal,
        onBytes,
      });
      if (file) return file;
    } catch (error) {
      if (!signal.aborted) this.#log(3, `Failed to retrieve image file.${adviceFor(error)}`);
      throw error;
    }
    throw new ImgctlError('InternalError', `Nothing was downloaded from "${this.#shownUrl}"`);
  }

  async #store(file: UrlFile, source: MainSource): Promise<TransferResult> {
    const {request} = this.#options;
    const {store, format} = request;
    describeSource(file.fd, request.url, source);
    const {localName: name = ''} = request;
    const staging = makeStaging(store.directory, name);
    try {
      const notices = await this.#unpack(staging, file);
      this.#log(6, `Acquired ${formatBytes(this.#decodedBytes)} for ${this.#shownUrl}.`);
      this.#log(6, `Download of ${this.#shownUrl} complete.`);
      const placed = placeImage({
        staging,
        store,
        name,
        isRaw: format === 'raw',
        force: request.force ?? false,
        readOnly: request.readOnly ?? false,
      });
      this.#log(6, `Created new local image '${name}'.`);
      this.#options.listener.reportProgress(1);
      return {path: placed.path, format, notices: [...notices, ...placed.notices]};
    } finally {
      await staging.remove();
    }
  }

  async #unpack(staging: Staging, file: UrlFile): Promise<string[]> {
    const {request, sandbox, limits, maxEntries, signal} = this.#options;
    const task = {format: request.format, limits, maxEntries, isPull: true};
    const onMessage = (message: ChildMessage) => {
      if (message.type === 'decoded') this.#decodedBytes = message.bytes;
    };
    return await runUnpackChild({sandbox, staging: staging.path, source: file.fd, task, signal, onMessage});
  }

  #log(level: number, line: string): void {
    this.#options.listener.reportLog(level, line);
  }
}

function adviceFor(error: unknown): string {
  return error instanceof RetrievalError && error.statusCode === 404 ? ' (Wrong URL?)' : '';
}

/** Times and attributes of the file, which a disk image then takes over (spec/engine.md §2). */
function describeSource(fd: number, url: string, {etag, modifiedMs}: MainSource): void {
  if (etag !== undefined) trySetXattr(fd, 'user.source_etag', Buffer.from(etag));
  trySetXattr(fd, 'user.source_url', Buffer.from(url));
  if (modifiedMs === undefined) return;
  const created = Buffer.alloc(8);
  created.writeBigUInt64LE(BigInt(Math.max(0, modifiedMs)) * 1000n);
  trySetXattr(fd, 'user.crtime_usec', created);
  const modifiedNs = BigInt(modifiedMs) * 1_000_000n;
  setTimesAt(fd, '', modifiedNs, modifiedNs);
}

/** Only a description: a cache on a file system without attributes does without. */
function trySetXattr(fd: number, name: string, value: Buffer): void {
  try {
    setXattr(fd, name, value);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}
