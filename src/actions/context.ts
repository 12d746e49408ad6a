/**
 * What an action is given (style.md §2.6): the opened parts and how to speak. Nothing here is global; the command
 * line builds one in `cli/context.ts`, tests build their own.
 */

import type {Catalog} from '../catalog/catalog.ts';
import type {RecordStore} from '../catalog/records.ts';
import type {DownloadCache} from '../downloads/download-cache.ts';
import type {Engine, ImageStore} from '../engine/engine.ts';
import type {ImgctlError} from '../errors.ts';
import type {PlatformText} from '../manifest/platform.ts';
import type {VerifiedSource} from '../sources/source.ts';

/** A named place that holds images (design.md §5). */
export interface Pool {
  name: string;
  store: ImageStore;
  /** Where the file system of the directory does not tell: of a pool of type zfs. */
  freeBytes?: () => Promise<number>;
}

/** `wait` is for another process, or for another image of this run. */
export type TransferPhase =
  | 'resolve'
  | 'wait'
  | 'download'
  | 'verify'
  | 'unpack'
  | 'commit'
  | 'pack'
  | 'upload';

export interface ProgressUpdate {
  /** UUID of the image that is worked on, and its `NAME@VERSION`. */
  uuid: string;
  title: string;
  phase: TransferPhase;
  /** Of payload bytes; the total is undefined when unknown. */
  doneBytes: number;
  totalBytes: number | undefined;
  resumedAtBytes?: number;
  /** Of the whole file as transferred, in phases that count something else. */
  fileBytes?: number;
  /** The numbers are parts of the whole, not bytes. */
  isShare?: boolean;
  /** Of the engine's transfer, where it has one. */
  id?: number;
}

export interface PlannedImage {
  uuid: string;
  sizeBytes: number | undefined;
}

/** A lost connection that is tried again after a wait. */
export interface ProgressRetry {
  attempt: number;
  of: number;
  waitMs: number;
  cause: string;
}

/** How an action speaks while it runs. Nothing of this is data: that is what the action returns. */
export interface Reporter {
  /** A step line of the imgadm contract (spec/imgadm.md §7). */
  step(line: string): void;
  /** A step line that tells of a transfer: where a progress bar is shown, it goes there instead (§7.1). */
  transferStep(line: string): void;
  /** A line for people, hidden by --quiet. */
  notice(line: string): void;
  warn(text: string): void;
  /** Of one part of several, while the command goes on with the others. */
  failure(error: ImgctlError): void;
  /** What this run is going to bring, before the first of them begins. */
  expect(images: readonly PlannedImage[]): void;
  progress(update: ProgressUpdate): void;
  retry(uuid: string, retry: ProgressRetry): void;
  /** The image is done with; its progress is no longer shown. `isDone`: all that was to be done was done. */
  progressEnd(uuid: string, isDone: boolean): void;
}

/** Held until released; locks of processes that died are free. */
export interface HeldLock {
  release(): void;
}

export interface LockService {
  /**
   * Waits for the named lock of this root; `onWait` is called once when that takes over a second. A shared lock is
   * held together with other shared ones.
   */
  acquire(
    name: string,
    options: {signal: AbortSignal; mode?: 'exclusive' | 'shared'; onWait?: () => void},
  ): Promise<HeldLock>;
  /** The exclusive lock, or undefined when anybody holds it. */
  tryAcquire(name: string): Promise<HeldLock | undefined>;
}

/** Configured bounds; the defaults stand where each is used. */
export interface ActionLimits {
  /** Of an image after decompression. */
  unpackedBytes?: number;
  /** Images in one chain of origins. */
  originImages?: number;
}

export interface ActionContext {
  catalog: Catalog;
  records: RecordStore;
  /** In the order in which they are asked. */
  sources: readonly VerifiedSource[];
  downloads: DownloadCache;
  limits: ActionLimits;
  /** What images that ask for a platform are compared with; undefined: they are taken as they are. */
  platform?: PlatformText | undefined;
  engine: Engine;
  /** All pools; the first is the default one. */
  pools: readonly Pool[];
  locks: LockService;
  report: Reporter;
  signal: AbortSignal;
  /** Nobody is asked; what the sources offer is what the catalog has. */
  offline: boolean;
  now(): Date;
  /** The program's name, for messages that carry it: `imgctl` or `imgadm`. */
  program: string;
}
