/** The second half of a pull: verified bytes, or a copy that is here already, become images under their names. */
import {closeSync, constants, existsSync, fsyncSync, openSync, utimesSync} from 'node:fs';
import path from 'node:path';
import type {UrlFile} from '../../../downloads/url-download.ts';
import {ImgctlError} from '../../../errors.ts';
import type {DecompressLimits} from '../../../formats/decompress.ts';
import {isNoCow, setNoCow} from '../../../sys/attributes.ts';
import {isBtrfsSubvolume} from '../../../sys/btrfs.ts';
import {copyFileContents} from '../../../sys/copy-file.ts';
import {renameAt} from '../../../sys/files.ts';
import {copyUserAttributes} from '../../../sys/metadata.ts';
import {makeStaging, type Staging, stagedRaw, stagedTree, stagedTwin} from '../../../sys/staging.ts';
import type {PullRequest, TransferResult, Verification} from '../../engine.ts';
import type {JobListener} from '../import-job.ts';
import {type PlacedImage, placeImage} from '../place-image.ts';
import type {Sandbox} from '../sandbox.ts';
import {
  copyStem,
  type DownloadCopy,
  raiseVerification,
  suffixOf,
  writeVerification,
} from './download-copies.ts';
import type {EarlyResult} from './early-unpack.ts';
import {moveInto} from './plain-disk.ts';
import {type PullChildResult, type PullChildWork, runPullChild, unpackWish} from './pull-child.ts';
import type {PullProgress} from './pull-progress.ts';
import {placeSideFile, type SideFile, stageSideCopy} from './side-files.ts';

export interface StoreStepOptions {
  request: PullRequest;
  sandbox: Sandbox;
  limits: DecompressLimits;
  maxEntries: number;
  signal: AbortSignal;
  listener: JobListener;
  progress: PullProgress;
  /** One of the two: new bytes, or the copy that is still current. */
  file: UrlFile | undefined;
  /** The file as it was unpacked while it arrived, if it was. */
  takeEarly: () => EarlyResult | undefined;
  /** Whether the file is to be moved to where its first image belongs; what was unpacked is then the second one. */
  isMovable: boolean;
  copy: DownloadCopy | undefined;
  etag: string | undefined;
  verification: Verification | undefined;
  sides: readonly SideFile[];
  sideStaging: Staging;
  /** Called once, after the decoding, or at once where nothing is decoded. */
  onDecoded: (decodedBytes: number | undefined) => void;
}

export class StoreStep {
  readonly #options: StoreStepOptions;
  readonly #notices: string[] = [];
  /** Holds what becomes the local image, where it was made beside the copy. */
  #twin: Staging | undefined;

  constructor(options: StoreStepOptions) {
    this.#options = options;
  }

  /** The download copy first, then the local image: what is interrupted in between is not downloaded again. */
  async run(): Promise<TransferResult> {
    const {request, file, verification} = this.#options;
    const {localName, keepDownload} = request;
    const keeps = file !== undefined && (keepDownload || localName === undefined);
    const copyPath =
      file === undefined ? this.#currentCopy() : keeps ? await this.#makeCopy(file) : undefined;
    let finalPath = copyPath;
    if (localName !== undefined) {
      finalPath =
        copyPath === undefined && file
          ? await this.#withImage(localName, file, (staging) => this.#placeLocal(staging, localName))
          : await this.#withStaging(
              localName,
              async (staging) => {
                await this.#stageLocal(staging, copyPath ?? '');
                return this.#placeLocal(staging, localName);
              },
              this.#twin,
            );
    }
    await this.#placeSides(copyPath);
    return {
      path: finalPath ?? '',
      format: request.format,
      ...(verification ? {verification} : {}),
      notices: this.#notices,
    };
  }

  #currentCopy(): string {
    const {copy, verification, onDecoded} = this.#options;
    if (!copy)
      throw new ImgctlError('InternalError', 'The server says that a copy is current which is not here');
    onDecoded(undefined);
    if (verification) raiseVerification(copy, verification);
    return copy.path;
  }

  async #makeCopy(file: UrlFile): Promise<string> {
    const {request, etag} = this.#options;
    const stem = copyStem(request.store, request, etag);
    return await this.#withImage(request.format, file, (staging) => {
      const placed = this.#place(staging, stem, {force: true, readOnly: true});
      this.#twin ??= this.#takeTwin(staging);
      return placed;
    });
  }

  #takeTwin(from: Staging): Staging | undefined {
    const {localName, store, format} = this.#options.request;
    if (localName === undefined || !existsSync(path.join(from.path, stagedTwin))) return undefined;
    const own = makeStaging(store.directory, localName);
    try {
      renameAt(from.fd, stagedTwin, own.fd, format === 'raw' ? stagedRaw : stagedTree);
      return own;
    } catch (error) {
      own.release(); // to the next sweep
      throw error;
    }
  }

  /** Calls `use` with a staging directory that holds what the file becomes. */
  async #withImage(name: string, file: UrlFile, use: (staging: Staging) => string): Promise<string> {
    return await (this.#options.isMovable
      ? this.#withMoved(name, file, use)
      : this.#withUnpacked(name, file, use));
  }

  /** A copy was made meanwhile if one is needed; should that have failed, the file is still in the cache. */
  async #withMoved(name: string, file: UrlFile, use: (staging: Staging) => string): Promise<string> {
    const {progress, onDecoded, limits} = this.#options;
    const early = this.#options.takeEarly();
    progress.enter('unpack');
    try {
      this.#notices.push(...((await early?.finished)?.notices ?? []));
      const placed = await this.#withStaging(name, async (staging) => {
        moveInto(staging, file, limits);
        onDecoded(file.sizeBytes);
        progress.enter('finalize');
        return use(staging);
      });
      this.#twin = early?.staging;
      return placed;
    } catch (error) {
      await early?.staging.remove();
      throw error;
    }
  }

  async #withUnpacked(name: string, file: UrlFile, use: (staging: Staging) => string): Promise<string> {
    const early = this.#options.takeEarly();
    const unpacked = async (staging: Staging): Promise<string> => {
      await this.#unpack(staging, file, early);
      return use(staging);
    };
    return await this.#withStaging(name, unpacked, early?.staging);
  }

  async #unpack(staging: Staging, file: UrlFile, early: EarlyResult | undefined): Promise<void> {
    const {request, progress, onDecoded} = this.#options;
    progress.enter('unpack');
    const {lines, notices, decodedBytes} = await (early?.finished ??
      this.#runChild(staging, unpackWish(request), file.fd));
    this.#notices.push(...notices);
    onDecoded(decodedBytes);
    for (const [level, line] of lines) this.#options.listener.reportLog(level, line);
    progress.enter('finalize');
  }

  async #runChild(staging: Staging, what: PullChildWork['what'], source?: number): Promise<PullChildResult> {
    return await runPullChild(this.#options, {
      staging: staging.path,
      what,
      ...(source !== undefined && {source}),
    });
  }

  #placeLocal(staging: Staging, name: string): string {
    const {force = false, readOnly = false} = this.#options.request;
    const placed = this.#place(staging, name, {force, readOnly});
    this.#options.listener.reportLog(6, `Created new local image '${name}'.`);
    return placed;
  }

  #place(staging: Staging, name: string, how: {force: boolean; readOnly: boolean}): string {
    const {request, verification, signal} = this.#options;
    const {store, format} = request;
    const isRaw = format === 'raw';
    if (verification)
      writeVerification(path.join(staging.path, isRaw ? stagedRaw : stagedTree), verification);
    signal.throwIfAborted();
    const placed: PlacedImage = placeImage({staging, store, name, isRaw, ...how});
    this.#notices.push(...placed.notices);
    return placed.path;
  }

  async #stageLocal(staging: Staging, copyPath: string): Promise<void> {
    const {request, progress, signal} = this.#options;
    progress.enter('copy');
    if (request.format === 'raw') {
      if (!this.#twin) await copyDisk(copyPath, path.join(staging.path, stagedRaw), signal);
      return;
    }
    if (!this.#twin) {
      const what = {format: 'directory', sourceDirectory: {path: copyPath}} as const;
      const {notices} = await this.#runChild(staging, what);
      this.#notices.push(...notices);
    }
    const tree = path.join(staging.path, stagedTree);
    // As importd leaves it: a snapshot keeps the time, a copy is new.
    if (!isBtrfsSubvolume(tree)) utimesSync(tree, new Date(), new Date());
  }

  async #placeSides(copyPath: string | undefined): Promise<void> {
    const {request, sides, sideStaging, listener} = this.#options;
    const {store, localName, force = false, format} = request;
    const {directory} = store;
    const suffix = suffixOf(format);
    const word = format === 'tar' ? 'settings file' : 'file';
    for (const side of sides) {
      const stem = copyPath && path.basename(copyPath).slice(0, -suffix.length || undefined);
      if (stem !== undefined) {
        placeSideFile(side, {staging: sideStaging, directory, stem, mode: 0o444, force: true});
        if (localName === undefined) continue;
        await stageSideCopy(side, path.join(directory, `${stem}${side.suffix}`), sideStaging);
      }
      if (localName === undefined) continue;
      // importd lets the group write the settings of a tree, not those of a disk.
      const writable = this.#options.request.format === 'tar' ? 0o664 : 0o644;
      const mode = stem === undefined ? 0o444 : writable;
      const placed = path.join(directory, `${localName}${side.suffix}`);
      const isPlaced = placeSideFile(side, {staging: sideStaging, directory, stem: localName, mode, force});
      if (isPlaced) listener.reportLog(6, `Created new ${word} ${placed}.`);
      else listener.reportLog(5, `File ${placed} already exists, not replacing.`);
    }
  }

  /** A staging directory of its own for each image: what it replaces lands in there. */
  async #withStaging(
    name: string,
    use: (staging: Staging) => Promise<string>,
    staging = makeStaging(this.#options.request.store.directory, name),
  ): Promise<string> {
    let result: string;
    try {
      result = await use(staging);
    } catch (error) {
      await staging.remove();
      throw error;
    }
    // The image is in place, so what cannot be cleared away now is no failure any more.
    await staging.remove().catch((error: unknown) => {
      this.#notices.push(`Old data in "${staging.path}" was not removed: ${(error as Error).message}`);
    });
    return result;
  }
}

/** Shares blocks where the file system can, else copies data and leaves holes; times and user attributes too. */
async function copyDisk(source: string, target: string, signal: AbortSignal): Promise<void> {
  const from = openSync(source, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const to = openSync(target, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o644);
    try {
      // Blocks can only be shared between files that are alike in this.
      if (isNoCow(from)) setNoCow(to);
      await copyFileContents(from, to, {signal});
      copyUserAttributes(from, to);
      fsyncSync(to);
    } finally {
      closeSync(to);
    }
  } finally {
    closeSync(from);
  }
}
