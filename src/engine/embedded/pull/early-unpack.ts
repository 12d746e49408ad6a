/**
 * Decoding that runs beside the download, into a staging directory of its own. Its result is asked for once the file is
 * verified, and not before; a download that fails, begins anew or is refused takes it along.
 */
import type {Duplex} from 'node:stream';
import {sniffBytes, sniffCompression, sniffPayload} from '../../../formats/sniff.ts';
import {EarlyWriting} from '../../../sys/contents.ts';
import {makeStaging, type Staging} from '../../../sys/staging.ts';
import type {PullRequest} from '../../engine.ts';
import {tellArrival} from '../arrival.ts';
import {readHead} from '../file-source.ts';
import {canShareBlocks} from '../share-blocks.ts';
import {EarlyCopy} from './early-copy.ts';
import {canBecomeImage, isPlainDisk} from './plain-disk.ts';
import {type PullChildOptions, type PullChildResult, runPullChild, unpackWish} from './pull-child.ts';

export interface EarlyResult {
  /** Of whoever takes it. */
  staging: Staging;
  /** Call it, and wait for it, before the staging directory is removed. */
  finished: Promise<PullChildResult>;
}

export class EarlyUnpack {
  readonly #options: PullChildOptions;
  readonly #request: PullRequest;
  readonly #stop = new AbortController();
  #fd: number | undefined;
  #sizeBytes = 0;
  #isWhole = false;
  #isOff = false;
  #pipe: Duplex | undefined;
  #running: EarlyResult | undefined;
  #isTaken = false;
  /** Set for a download that is itself to become an image. */
  #moved: EarlyWriting | undefined;
  #copy: EarlyCopy | undefined;

  constructor(options: PullChildOptions, request: PullRequest) {
    this.#options = options;
    this.#request = request;
  }

  /** The file that the bytes go to, open for reading until this is disposed of. */
  opened(fd: number): void {
    this.#fd = fd;
  }

  /** So much of the file is there. */
  reached(sizeBytes: number): void {
    if (sizeBytes < this.#sizeBytes) this.#giveUp(); // other bytes than those that were read
    this.#sizeBytes = sizeBytes;
    this.#moved?.reached(sizeBytes);
    if (!this.#isOff) this.#copy?.reached(sizeBytes);
    if (!this.#running && !this.#copy && !this.#isOff && sizeBytes >= sniffBytes) this.#start();
    this.#tell();
  }

  /** All of it is there, and so are its times and attributes. */
  arrived(): void {
    this.#isWhole = true;
    this.#tell();
    if (this.#copy && !this.#isOff) this.#finishCopy(this.#copy);
  }

  /** Whether the file, once verified, can be moved to where its first image belongs; what is unpacked is the second. */
  get isMovable(): boolean {
    return this.#moved !== undefined;
  }

  /** Undefined where nothing was begun. */
  take(): EarlyResult | undefined {
    if (this.#isOff || !this.#isWhole || !this.#running) return undefined;
    this.#isTaken = true;
    return this.#running;
  }

  /** Ends what was not taken. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#giveUp();
    if (this.#copy) {
      await this.#copy.close();
      await this.#copy.staging.remove();
    }
    if (!this.#running || this.#isTaken) return;
    await this.#running.finished.catch(() => undefined);
    await this.#running.staging.remove();
  }

  #start(): void {
    const head = this.#fd === undefined ? Buffer.alloc(0) : readHead(this.#fd, sniffBytes);
    const {format, store, localName, keepDownload} = this.#request;
    // Of a qcow2 image any part may be read first.
    if (format === 'raw' && isPlainDisk(head)) this.#startPlain();
    else if (sniffCompression(head) === 'none' && sniffPayload(head) !== 'tar') this.#isOff = true;
    else this.#run(makeStaging(store.directory, keepDownload ? format : (localName ?? format)));
  }

  /** One image is the download itself; another is a copy, made now unless it will share the blocks of the first. */
  #startPlain(): void {
    const {store, localName, keepDownload} = this.#request;
    if (this.#fd === undefined || !canBecomeImage(this.#fd, store.directory)) {
      this.#isOff = true;
      return;
    }
    this.#moved = new EarlyWriting(this.#fd);
    const {directory} = store;
    if (keepDownload && localName !== undefined && !canShareBlocks(directory)) {
      const {maxOutputBytes: maxBytes} = this.#options.limits;
      this.#copy = new EarlyCopy(this.#fd, {directory, name: localName, maxBytes});
    } else this.#isOff = true;
  }

  #finishCopy(copy: EarlyCopy): void {
    const {staging} = copy;
    const decodedBytes = this.#sizeBytes;
    const finished = copy.finish(decodedBytes).then(() => ({notices: [], lines: [], decodedBytes}));
    finished.catch(() => undefined); // whoever takes it is told
    this.#running = {staging, finished};
    this.#copy = undefined;
  }

  #run(staging: Staging, what = unpackWish(this.#request)): void {
    const signal = AbortSignal.any([this.#options.signal, this.#stop.signal]);
    const finished = runPullChild(
      {...this.#options, signal},
      {
        staging: staging.path,
        what: {...what, isArriving: true},
        ...(this.#fd !== undefined && {source: this.#fd}),
        onStart: ({pipes}) => {
          this.#pipe = pipes[0];
          this.#pipe?.on('error', () => undefined); // the child has gone, and says why itself
          this.#tell();
        },
      },
    );
    finished.catch(() => undefined); // whoever takes it is told
    this.#running = {staging, finished};
  }

  #tell(): void {
    if (this.#pipe) tellArrival(this.#pipe, this.#sizeBytes, {isWhole: this.#isWhole});
  }

  #giveUp(): void {
    this.#isOff = true;
    this.#moved = undefined;
    this.#stop.abort();
  }
}
