/**
 * Locks between processes: flock(2) on a file, so a lock ends with its process whatever happens to it.
 * One process that asks twice competes with itself, because every lock has its own open file.
 */
import {closeSync, constants, fstatSync, openSync, statSync, unlinkSync} from 'node:fs';
import {constants as osConstants} from 'node:os';
import {setTimeout as sleep} from 'node:timers/promises';
import {ImgctlError} from '../errors.ts';
import {native, SystemError} from './native.ts';

export type LockMode = 'exclusive' | 'shared';

const flockOperations = {exclusive: 2, shared: 1} as const; // LOCK_EX, LOCK_SH
const LOCK_NB = 4;
const firstPollMs = 10;
const slowestPollMs = 250;

/** A held lock. Releasing twice does nothing. */
export class FileLock {
  readonly path: string;
  #fd: number | undefined;

  constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /** The open, locked file; stays open until the lock is released. */
  get fd(): number {
    if (this.#fd === undefined) throw new Error(`Lock "${this.path}" is no longer held`);
    return this.#fd;
  }

  /**
   * Ends the lock. `remove` deletes the file first, unless others share the lock; later lockers then make a new one.
   */
  release(options: {remove?: boolean} = {}): void {
    if (this.#fd === undefined) return;
    const fd = this.#fd;
    this.#fd = undefined;
    try {
      if (options.remove && isLastHolder(fd) && isSameFile(fd, this.path)) unlinkSync(this.path);
    } finally {
      closeSync(fd);
    }
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/**
 * Takes the lock, or returns undefined when somebody else holds it. A missing file is created (0600);
 * an existing directory can be locked too. The file is never truncated.
 */
export function tryLock(path: string, mode: LockMode = 'exclusive'): FileLock | undefined {
  for (;;) {
    const fd = openLockFile(path);
    const result = native().flock(fd, flockOperations[mode] | LOCK_NB);
    // A holder may have removed or replaced the file between open and flock: then this locks nothing.
    if (result === 0 && isSameFile(fd, path)) return new FileLock(path, fd);
    closeSync(fd);
    if (result === -osConstants.errno.EAGAIN) return undefined;
    if (result < 0) throw new SystemError(-result, 'flock', path);
  }
}

export interface WaitForLockOptions {
  mode?: LockMode;
  signal?: AbortSignal;
  /** Called once when the lock has not come after `afterMs` (default 1000). */
  onWait?: () => void;
  afterMs?: number;
}

/** Takes the lock as soon as it is free; asks again at growing intervals of up to a quarter second. */
export async function waitForLock(path: string, options: WaitForLockOptions = {}): Promise<FileLock> {
  const {signal, afterMs = 1000} = options;
  const start = performance.now();
  let announced = false;
  for (let pollMs = firstPollMs; ; pollMs = Math.min(pollMs * 1.5, slowestPollMs)) {
    if (signal?.aborted) throw interrupted(path, signal);
    const lock = tryLock(path, options.mode);
    if (lock) return lock;
    if (!announced && performance.now() - start >= afterMs) {
      announced = true;
      options.onWait?.();
    }
    await sleep(pollMs, undefined, signal ? {signal} : {}).catch(() => {
      throw interrupted(path, signal);
    });
  }
}

function interrupted(path: string, signal: AbortSignal | undefined): ImgctlError {
  return new ImgctlError('Interrupted', `Waiting for lock "${path}" was interrupted`, {
    cause: signal?.reason,
  });
}

function openLockFile(path: string): number {
  const flags = constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    return openSync(path, flags | constants.O_RDWR | constants.O_CREAT, 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EISDIR') throw error;
    return openSync(path, flags | constants.O_RDONLY | constants.O_DIRECTORY);
  }
}

/** Makes the lock exclusive where nobody shares it; else it may be lost, which is no loss to who gives it up. */
function isLastHolder(fd: number): boolean {
  return native().flock(fd, flockOperations.exclusive | LOCK_NB) === 0;
}

function isSameFile(fd: number, path: string): boolean {
  const there = statSync(path, {throwIfNoEntry: false, bigint: true});
  const here = fstatSync(fd, {bigint: true});
  return there !== undefined && there.ino === here.ino && there.dev === here.dev;
}
