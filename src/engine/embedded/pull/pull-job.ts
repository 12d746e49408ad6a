/**
 * One pull, from a URL to an image in place: downloaded into the cache, decoded and unpacked beside that by the child
 * with few rights into a staging directory, verified, renamed. Nothing is visible, and nothing is said of what is in the
 * file, before it is verified; whatever happens, nothing temporary stays but a partial download.
 */

import {SignedLists} from '../../../downloads/signed-lists.ts';
import type {UrlDownload, UrlFile} from '../../../downloads/url-download.ts';
import {type ErrorCode, ImgctlError} from '../../../errors.ts';
import type {DecompressLimits} from '../../../formats/decompress.ts';
import {maskUrl} from '../../../http/mask-url.ts';
import {isFileUrl, lastUrlComponent} from '../../../import1/pull-url.ts';
import {makeStaging, type Staging} from '../../../sys/staging.ts';
import {OpenPgpVerifier} from '../../../verify/openpgp.ts';
import type {PullRequest, TransferResult} from '../../engine.ts';
import {asImgctlError} from '../failure.ts';
import {isPlainFile} from '../file-source.ts';
import type {JobListener} from '../import-job.ts';
import type {Sandbox} from '../sandbox.ts';
import {describeSource} from './describe-source.ts';
import {type DownloadCopy, findCopies} from './download-copies.ts';
import {EarlyUnpack} from './early-unpack.ts';
import {MainSource, RetrievalError} from './main-source.ts';
import {fetchProofs, type Proofs} from './proofs.ts';
import {ArrivalLog, formatBytes} from './pull-log.ts';
import {PullProgress} from './pull-progress.ts';
import type {PullSupport} from './pull-support.ts';
import {fetchSideFiles, type SideFile} from './side-files.ts';
import {StoreStep} from './store-step.ts';
import {isRefusal, type Verified, verifyPull} from './verification.ts';

export interface PullJobOptions {
  request: PullRequest;
  support: PullSupport;
  sandbox: Sandbox;
  limits: DecompressLimits;
  maxEntries: number;
  signal: AbortSignal;
  listener: JobListener;
}

/** importd's (spec/engine.md §2). */
const defaultMaxImageBytes = 64 * 1024 ** 3;

/** Errors that lie in the downloaded bytes: another try needs others. */
const uselessAfter = new Set<ErrorCode>([
  'ChecksumError',
  'InvalidArchive',
  'LimitExceeded',
  'NotSupported',
  'UncompressionError',
]);

type Line = [level: number, text: string];

/** All that came from the server. `file` is undefined when the copy that is here is still current. */
interface Arrived {
  file: UrlFile | undefined;
  copy: DownloadCopy | undefined;
  source: MainSource;
  sides: SideFile[];
  proofs: Proofs;
}

export class PullJob {
  readonly #options: PullJobOptions;
  readonly #shownUrl: string;
  readonly #maxImageBytes: number;
  readonly #progress: PullProgress;
  readonly #early: EarlyUnpack;
  /** What is to be said about the files beside the image, once everything has been said about the image. */
  readonly #held: Line[] = [];
  /** Undefined once it is known that the image comes. */
  #sideLines: Line[] | undefined = [];

  constructor(options: PullJobOptions) {
    this.#options = options;
    this.#shownUrl = maskUrl(options.request.url);
    this.#early = new EarlyUnpack(options, options.request);
    this.#maxImageBytes = options.support.maxImageBytes ?? defaultMaxImageBytes;
    this.#progress = new PullProgress(options.request.format, (fraction) =>
      options.listener.reportProgress(fraction),
    );
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
      this.#progress.finish();
      this.#log(6, 'Operation completed successfully.');
      return result;
    } catch (error) {
      throw asImgctlError(error, `Pulling "${this.#shownUrl}"`, signal);
    }
  }

  async #pull(): Promise<TransferResult> {
    const {request, support, signal} = this.#options;
    const download = await (await support.downloads()).openUrl(request.url, signal);
    let isDone = true;
    let refusal: string | undefined;
    try {
      const name = request.localName ?? lastUrlComponent(request.url);
      const sideStaging = makeStaging(request.store.directory, name);
      try {
        const arrived = await this.#fetchAll(download, sideStaging);
        return await this.#verifyAndStore(arrived, sideStaging);
      } finally {
        await this.#early[Symbol.asyncDispose]();
        await sideStaging.remove();
      }
    } catch (error) {
      if (isRefusal(error)) refusal = error.message;
      isDone = refusal !== undefined || (error instanceof ImgctlError && uselessAfter.has(error.code));
      throw error;
    } finally {
      await download.close({isDone, refusal});
    }
  }

  /** Everything at once; when the image does not come, the rest is not waited for. */
  async #fetchAll(download: UrlDownload, sideStaging: Staging): Promise<Arrived> {
    const {request, support, signal} = this.#options;
    const copies = findCopies(request);
    const source = new MainSource({
      url: request.url,
      http: support.http,
      log: (level, line) => this.#log(level, line),
      oldEtags: copies.map(({etag}) => etag),
    });
    const stop = new AbortController();
    const {http} = support;
    const common = {
      http,
      progress: this.#progress,
      signal: AbortSignal.any([signal, stop.signal]),
    };
    const main = this.#fetchMain(download, source, common.signal);
    const log = (...line: Line) => this.#logOfSides(line);
    const sides = fetchSideFiles({...common, request, maxImageBytes: this.#maxImageBytes, log}, sideStaging);
    const proofs = fetchProofs({
      ...common,
      url: request.url,
      mode: request.verify,
      log: (...line) => this.#held.push(line),
    });
    try {
      const [file] = await Promise.all([main, sides, proofs]);
      this.#mainBegins();
      const copy = copies.find(({etag}) => etag === source.currentEtag);
      return {file, copy, source, sides: await sides, proofs: await proofs};
    } catch (error) {
      stop.abort(error);
      await Promise.allSettled([main, sides, proofs]);
      throw error;
    }
  }

  async #fetchMain(
    download: UrlDownload,
    source: MainSource,
    signal: AbortSignal,
  ): Promise<UrlFile | undefined> {
    const {request} = this.#options;
    const arrival = new ArrivalLog(this.#shownUrl, (level, line) => this.#log(level, line));
    let isAnnounced = isFileUrl(request.url);
    const onBytes = (doneBytes: number, totalBytes: number | undefined) => {
      this.#mainBegins();
      if (!isAnnounced && totalBytes !== undefined) {
        isAnnounced = true;
        this.#log(6, `Downloading ${formatBytes(totalBytes)} for ${this.#shownUrl}.`);
      }
      arrival.update(doneBytes, totalBytes);
      this.#early.reached(doneBytes);
      if (totalBytes) this.#progress.updateMain(doneBytes / totalBytes);
    };
    const open: MainSource['open'] = (from, openSignal) => source.open(from, openSignal);
    try {
      const file = await download.fetch({
        open,
        maxBytes: this.#maxImageBytes,
        signal,
        onOpen: (fd) => this.#early.opened(fd),
        onBytes,
        onRetry: ({cause}) => this.#log(5, `${cause}; continuing`),
      });
      if (file) {
        describeSource(file.fd, {...request, etag: source.etag, modifiedMs: source.modifiedMs});
        this.#early.arrived();
      } else this.#log(6, `Image already downloaded. Skipping download. (${source.currentEtag})`);
      return file;
    } catch (error) {
      if (!signal.aborted) this.#retrievalFailed(error);
      throw error;
    }
  }

  /** Where the image itself cannot be had, nothing needs saying about the files beside it. */
  #mainBegins(): void {
    for (const [level, line] of this.#sideLines?.splice(0) ?? []) this.#log(level, line);
    this.#sideLines = undefined;
  }

  #logOfSides(line: Line): void {
    if (this.#sideLines) this.#sideLines.push(line);
    else this.#log(...line);
  }

  #retrievalFailed(error: unknown): void {
    if (error instanceof ImgctlError && error.code === 'LimitExceeded') this.#log(3, 'Content too large.');
    const isMissing = error instanceof RetrievalError && error.statusCode === 404;
    this.#log(3, `Failed to retrieve image file.${isMissing ? ' (Wrong URL?)' : ''}`);
  }

  async #verifyAndStore(arrived: Arrived, sideStaging: Staging): Promise<TransferResult> {
    const {file, copy} = arrived;
    this.#progress.enter('verify');
    const sha256 = file?.sha256 ?? copy?.verification?.sha256;
    // Of importd's copies the digest is unknown; they are only used where nothing is to be verified.
    const verified =
      sha256 === undefined
        ? {verification: undefined, sides: arrived.sides}
        : await this.#verify(arrived, sha256);
    const step = new StoreStep({
      ...this.#options,
      progress: this.#progress,
      file,
      takeEarly: () => this.#early.take(),
      isMovable: this.#early.isMovable,
      copy,
      etag: arrived.source.etag,
      verification: verified.verification,
      sides: verified.sides,
      sideStaging,
      onDecoded: (decodedBytes) => {
        // importd decodes while it downloads, so its lines about the download come after the decoding.
        this.#downloadComplete(decodedBytes);
      },
    });
    try {
      return await step.run();
    } catch (error) {
      const isDamaged = error instanceof ImgctlError && error.code === 'UncompressionError';
      const isRefused = error instanceof ImgctlError && error.details?.format === 'tar' && file !== undefined;
      if (isRefused) this.#downloadComplete(isPlainFile(file.fd) ? file.sizeBytes : undefined);
      if (isDamaged) this.#log(3, 'Failed to retrieve image file.');
      throw error;
    }
  }

  /** Verifies before anything of the decoding counts; what is to be said about it is said afterwards, unless it fails. */
  async #verify({file, sides, proofs}: Arrived, sha256: string): Promise<Verified<SideFile>> {
    const {request, support} = this.#options;
    const only = await support.keyringFor?.(request.url);
    try {
      return await verifyPull({
        mode: request.verify,
        proofs,
        main: {url: request.url, sha256},
        sides,
        keyring: new OpenPgpVerifier(only === undefined ? support.keyringFiles : [only]),
        onSigned: ({fingerprint, signedAt}) => this.#acceptList(proofs, {fingerprint, signedAt}),
        log: (...line) => this.#held.push(line),
      });
    } catch (error) {
      this.#downloadComplete(file && isPlainFile(file.fd) ? file.sizeBytes : undefined);
      throw error;
    }
  }

  async #acceptList({listUrl}: Proofs, signature: {fingerprint: string; signedAt: Date}): Promise<void> {
    const {signedListsDirectory} = this.#options.support;
    if (listUrl === undefined || signedListsDirectory === undefined) return;
    try {
      await new SignedLists(signedListsDirectory).accept({url: maskUrl(listUrl), ...signature});
    } catch (error) {
      this.#held.push([3, 'DOWNLOAD INVALID: The signed list is older than one that was seen before.']);
      throw error;
    }
  }

  #downloadComplete(decodedBytes: number | undefined): void {
    const url = this.#shownUrl;
    if (decodedBytes !== undefined) this.#log(6, `Acquired ${formatBytes(decodedBytes)} for ${url}.`);
    this.#log(6, `Download of ${url} complete.`);
    for (const [level, line] of this.#held.splice(0)) this.#log(level, line);
  }

  #log(level: number, line: string): void {
    this.#options.listener.reportLog(level, line);
  }
}
