/** One import, from an open source to an image in place. Whatever happens, nothing temporary stays. */
import {lstatSync, statfsSync} from 'node:fs';
import path from 'node:path';
import type {Duplex} from 'node:stream';
import {ImgctlError} from '../../errors.ts';
import type {DecompressLimits} from '../../formats/decompress.ts';
import {copyImage} from '../../sys/copy-image.ts';
import {makeStaging, type Staging, stagedRaw, stagedTree} from '../../sys/staging.ts';
import type {ArrivingFile, BaseImage, ImportRequest, TransferResult} from '../engine.ts';
import {tellArrival} from './arrival.ts';
import type {ChildMessage, StoredFormat} from './child-protocol.ts';
import {findImage} from './export/find-image.ts';
import {asImgctlError} from './failure.ts';
import {type ImportSource, openImportSource} from './import-source.ts';
import {PercentLog} from './percent-log.ts';
import {placeImage} from './place-image.ts';
import type {Sandbox} from './sandbox.ts';
import {runUnpackChild} from './unpack-process.ts';

export interface ImportJobOptions {
  request: ImportOrder;
  sandbox: Sandbox;
  limits: DecompressLimits;
  maxEntries: number;
  signal: AbortSignal;
}

export interface ImportOrder extends ImportRequest {
  /** For an incremental image: what it goes over. */
  base?: BaseImage;
  baseDigest?: string;
  /** The file behind `sourceFd` is not all there yet. */
  arrival?: ArrivingFile;
}

export interface JobListener {
  reportProgress(fraction: number): void;
  reportLog(level: number, line: string): void;
}

export class ImportJob {
  /** What will be stored; known before anything is written. Rejects as `finished` does. */
  readonly sniffed: Promise<StoredFormat>;
  #listener: JobListener | undefined;
  /** Lines from before anybody listened. */
  readonly #earlyLines: [level: number, line: string][] = [];
  readonly #options: ImportJobOptions;
  readonly #resolveSniffed: (format: StoredFormat) => void;
  readonly #rejectSniffed: (error: unknown) => void;
  #format: StoredFormat = 'raw';
  #neededBytes: number | undefined;
  #contentDigest: string | undefined;
  readonly #percent = new PercentLog('Imported', (level, line) => this.#log(level, line));

  constructor(options: ImportJobOptions) {
    this.#options = options;
    const {promise, resolve, reject} = Promise.withResolvers<StoredFormat>();
    this.sniffed = promise;
    promise.catch(() => undefined); // not everybody waits for it
    this.#resolveSniffed = resolve;
    this.#rejectSniffed = reject;
  }

  /** Gets what happens from now on, and the lines from before. */
  listen(listener: JobListener): void {
    this.#listener = listener;
    for (const [level, line] of this.#earlyLines.splice(0)) listener.reportLog(level, line);
  }

  /** Does it all; call once. */
  async run(): Promise<TransferResult> {
    const {request, signal} = this.#options;
    const freeBytes = freeBytesOf(request.store.directory);
    try {
      const result = await this.#import();
      this.#log(
        6,
        this.#format === 'directory'
          ? `Directory '${result.path}' successfully installed.`
          : 'Operation completed successfully.',
      );
      return result;
    } catch (error) {
      const attempted = `Importing "${request.sourcePath}" as "${request.localName}"`;
      const failure = this.#withSpace(asImgctlError(error, attempted, signal), freeBytes);
      this.#rejectSniffed(failure);
      throw failure;
    }
  }

  async #import(): Promise<TransferResult> {
    const {request, limits, signal} = this.#options;
    await using source = await openImportSource(request, {
      maxBytes: limits.maxOutputBytes,
      signal,
      onWait: () => {
        // Who waits for the kind of the image need not wait for all of the input.
        if (request.format !== 'auto') this.#resolveSniffed(request.format);
      },
    });
    const staging = makeStaging(request.store.directory, request.localName);
    const result = await this.#fill(staging, source).catch(async (error: unknown) => {
      // What cannot be removed now is swept by the next import; the failure itself matters more.
      await staging.remove().catch(() => undefined);
      throw error;
    });
    // The image is in place, so what cannot be cleared away now is no failure any more.
    await staging.remove().catch((error: unknown) => {
      result.notices.push(`Old data in "${staging.path}" was not removed: ${(error as Error).message}`);
    });
    return result;
  }

  async #fill(staging: Staging, source: ImportSource): Promise<TransferResult> {
    const {request, sandbox, limits, maxEntries, signal} = this.#options;
    const {format, store, localName: name, origin, digestContents, arrival} = request;
    const task = {
      format,
      ...(source.directory && {sourceDirectory: source.directory}),
      limits,
      maxEntries,
      ...(request.base ? {base: request.baseDigest === undefined ? {} : {digest: request.baseDigest}} : {}),
      ...(origin && {origin: {directory: origin.store.directory, name: origin.localName}}),
      ...(digestContents && {digestContents}),
      ...(arrival && {isArriving: true, sourceBytes: arrival.sizeBytes}),
    };
    const lost = request.base ? await this.#copyBase(request.base, staging) : [];
    const onMessage = (message: ChildMessage) => this.#onMessage(message);
    const notices = await runUnpackChild({
      sandbox,
      staging: staging.path,
      source: source.fd,
      task,
      signal,
      onMessage,
      ...(arrival && {onStart: ({pipes}) => tellAll(arrival, pipes[0])}),
    });
    await request.beforeCommit?.({contentDigest: this.#contentDigest});
    signal.throwIfAborted();
    const isRaw = this.#format === 'raw';
    const {force = false, readOnly = false} = request;
    const placed = placeImage({staging, store, name, isRaw, force, readOnly});
    this.#listener?.reportProgress(1);
    return {path: placed.path, format: this.#format, notices: [...lost, ...notices, ...placed.notices]};
  }

  async #copyBase({store, localName}: BaseImage, staging: Staging): Promise<string[]> {
    const base = findImage(store, localName);
    const copy = path.join(staging.path, lstatSync(base).isDirectory() ? stagedTree : stagedRaw);
    return await copyImage(base, copy, {signal: this.#options.signal});
  }

  #onMessage(message: ChildMessage): void {
    if (message.type === 'sniffed') {
      this.#format = message.format;
      this.#neededBytes = message.neededBytes;
      this.#resolveSniffed(message.format);
    }
    if (message.type === 'progress') {
      this.#listener?.reportProgress(message.fraction);
      this.#percent.update(message.fraction);
    }
    if (message.type === 'contents') this.#contentDigest = message.digest;
    if (message.type === 'log') this.#log(message.level, message.line);
  }

  #log(level: number, line: string): void {
    if (this.#listener) this.#listener.reportLog(level, line);
    else this.#earlyLines.push([level, line]);
  }

  #withSpace(error: ImgctlError, haveBytes: number): ImgctlError {
    if (error.code !== 'NoSpace') return error;
    const need = this.#neededBytes === undefined ? '' : `, ${this.#neededBytes} are needed`;
    const {store, localName} = this.#options.request;
    return new ImgctlError(
      'NoSpace',
      `There is not enough space in "${store.directory}" for "${localName}": ${haveBytes} bytes were free${need}`,
      {cause: error, retryable: true, details: {haveBytes, needBytes: this.#neededBytes}},
    );
  }
}

function tellAll(arrival: ArrivingFile, pipe: Duplex | undefined): void {
  if (!pipe) throw new Error('Who reads what arrives has a pipe');
  pipe.on('error', () => undefined); // the child has gone, and says why itself
  arrival.follow((sizeBytes, isWhole) => tellArrival(pipe, sizeBytes, {isWhole}));
}

function freeBytesOf(directory: string): number {
  const {bavail, bsize} = statfsSync(directory);
  return bavail * bsize;
}
