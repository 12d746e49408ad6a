/**
 * Installing an image while its file arrives (design.md §6): the engine decodes what is there already, and shows nothing
 * before the file was verified. A file that fails, or begins anew, takes what was made of it along.
 */
import {closeSync, readSync} from 'node:fs';
import type {ImageRecord} from '../catalog/records.ts';
import type {ArrivalWatcher} from '../downloads/fetch-request.ts';
import type {ArrivingFile} from '../engine/engine.ts';
import {sniffBytes, sniffCompression, sniffPayload} from '../formats/sniff.ts';
import type {ActionContext, ProgressUpdate} from './context.ts';
import {type FileDigests, type InstallOrder, installImage} from './install-image.ts';

export class EarlyInstall implements ArrivalWatcher, AsyncDisposable {
  readonly #context: ActionContext;
  readonly #order: Omit<InstallOrder, 'filePath' | 'digests' | 'arriving'>;
  readonly #stop = new AbortController();
  readonly #digests = Promise.withResolvers<FileDigests>();
  readonly #file: ArrivingFile;
  #source: {fd: number; path: string} | undefined;
  #reachedBytes = 0;
  #isWhole = false;
  #tell: Parameters<ArrivingFile['follow']>[0] = () => undefined;
  #unsaid: ProgressUpdate | undefined;
  #installing: Promise<ImageRecord> | undefined;

  /** The image has no origin, its file `sizeBytes`, and the engine can import to its pool what is arriving. */
  constructor(
    context: ActionContext,
    order: Omit<InstallOrder, 'filePath' | 'digests' | 'arriving'>,
    sizeBytes: number,
  ) {
    this.#context = context;
    this.#order = order;
    this.#digests.promise.catch(() => undefined); // who waits for it is told
    this.#file = {
      sizeBytes,
      follow: (listener) => {
        this.#tell = listener;
        listener(this.#reachedBytes, this.#isWhole);
      },
    };
  }

  opened(file: {fd: number; path: string}): void {
    if (this.#source) {
      closeSync(file.fd);
      this.#giveUp(); // another file than the one that was begun with
    } else this.#source = file;
  }

  reached(sizeBytes: number): void {
    if (sizeBytes < this.#reachedBytes) this.#giveUp(); // other bytes than those that were read
    this.#reachedBytes = sizeBytes;
    if (this.#stop.signal.aborted || !this.#source) return;
    if (!this.#installing && sizeBytes >= sniffBytes) this.#begin(this.#source);
    this.#tell(sizeBytes, false);
  }

  /** Resolves when the file, which has been verified, is installed; at once with undefined where that was not begun. */
  async finish(digests: FileDigests): Promise<ImageRecord | undefined> {
    if (!this.#installing || this.#stop.signal.aborted) {
      await this.#settled();
      return undefined;
    }
    this.#isWhole = true;
    this.#digests.resolve(digests);
    if (this.#unsaid) this.#context.report.progress(this.#unsaid);
    this.#tell(digests.sizeBytes, true);
    try {
      return await this.#installing;
    } catch (error) {
      this.#context.report.progressEnd(this.#order.manifest.uuid, false); // it may have failed before anything was shown
      throw error;
    }
  }

  /** Ends what was not finished. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#giveUp();
    await this.#settled();
    if (this.#source) closeSync(this.#source.fd);
    this.#source = undefined;
  }

  #begin({fd, path}: {fd: number; path: string}): void {
    const head = Buffer.alloc(sniffBytes);
    readSync(fd, head, 0, sniffBytes, 0);
    // A disk may share the blocks of its file where all of it is there, and of a qcow2 image any part may be read first.
    if (sniffCompression(head) === 'none' && sniffPayload(head) !== 'tar') {
      this.#giveUp();
      return;
    }
    const {report} = this.#context;
    const context: ActionContext = {
      ...this.#context,
      signal: AbortSignal.any([this.#context.signal, this.#stop.signal]),
      // As long as the download is shown, nothing is said of what goes on beside it.
      report: {
        ...report,
        progress: (update) => {
          if (this.#isWhole) report.progress(update);
          else this.#unsaid = update;
        },
        progressEnd: (uuid, isDone) => {
          if (this.#isWhole) report.progressEnd(uuid, isDone);
        },
      },
    };
    this.#installing = installImage(context, {
      ...this.#order,
      filePath: path,
      digests: this.#digests.promise,
      arriving: {fd, file: this.#file},
    });
    this.#installing.catch(() => undefined); // who asks for it is told
  }

  #giveUp(): void {
    this.#stop.abort();
    this.#digests.reject(this.#stop.signal.reason);
  }

  async #settled(): Promise<void> {
    await this.#installing?.catch(() => undefined);
  }
}
