/**
 * Temporary directories beside the images (spec/engine.md §1: `.#NAME` and 16 hex digits). A running process holds
 * a lock on its own; one without is left over from a process that was killed, and is swept by the next.
 */
import {lstatSync, mkdirSync, readdirSync, type Stats} from 'node:fs';
import path from 'node:path';
import {errnoOf} from '../errors.ts';
import {type FileLock, tryLock} from './lock.ts';
import {randomHex} from './random-hex.ts';
import {removeTree} from './remove-tree.ts';

/** What is made in a staging directory: a tree or a disk. */
export const stagedTree = 'tree';
export const stagedRaw = 'raw';
/** Contents of files that have no name yet. */
export const stagedObjects = 'objects';
/** Prefix of a filter of system calls on its way to a child; it lives for an instant. */
export const stagedFilter = '.filter-';

const suffixBytes = 8;
const longestName = 255;
const stagingPattern = /^\.#.*[0-9a-f]{16}$/s;
const fixedNames = [stagedTree, stagedRaw, stagedObjects];
const sidePrefix = 'side';
const sidePattern = /^side[.a-z0-9]+$/;
/** systemd-nspawn's lock beside a tree that it ran, which it leaves when it is killed. */
const runLockPattern = /^\.#(?:tree|side[.a-z0-9]*)\.lck$/;
/** Images that are about to be removed. */
const oldPattern = /^old-[0-9]+$/;

/** The name inside for a file that goes with an image, by its suffix. */
export function stagedSide(suffix: string): string {
  return `${sidePrefix}${suffix}`;
}

/** A second tree or disk of the same file. */
export const stagedTwin = stagedSide('.twin');

/** A fresh staging directory. Whoever makes it calls `remove`, whatever happens. */
export class Staging {
  readonly path: string;
  readonly #lock: FileLock;

  constructor(file: string, lock: FileLock) {
    this.path = file;
    this.#lock = lock;
  }

  /** The open directory. */
  get fd(): number {
    return this.#lock.fd;
  }

  /** A name inside for an image that was moved away. */
  nameForOld(index: number): string {
    return `old-${index}`;
  }

  /** Leaves it to the next sweep. */
  release(): void {
    this.#lock.release();
  }

  async remove(): Promise<void> {
    try {
      await removeTree(this.path);
    } finally {
      this.#lock.release();
    }
  }
}

export function makeStaging(directory: string, name: string): Staging {
  for (;;) {
    const file = path.join(directory, `.#${shortened(name)}${randomHex(suffixBytes)}`);
    mkdirSync(file, 0o700);
    const lock = tryLockDirectory(file);
    if (lock) return new Staging(file, lock); // else a sweep came in between and removed it
  }
}

/** Removes what killed processes left. Names that only look like ours (importd uses the same) are kept. */
export async function sweepStaging(directory: string): Promise<void> {
  for (const staging of staleStaging(directory)) await staging.remove();
}

/** Paths of what `sweepStaging` would remove. */
export function findStaleStaging(directory: string): string[] {
  return [...staleStaging(directory)].map((staging) => {
    staging.release();
    return staging.path;
  });
}

function* staleStaging(directory: string): Generator<Staging> {
  for (const name of readdirOrNothing(directory)) {
    const file = path.join(directory, name);
    if (!stagingPattern.test(name) || !isOurs(file)) continue;
    const lock = tryLockDirectory(file);
    if (lock) yield new Staging(file, lock);
  }
}

/** importd's own have another mode, or an image right inside. */
function isOurs(file: string): boolean {
  const stats = lstatSync(file, {throwIfNoEntry: false});
  if (!stats?.isDirectory() || (stats.mode & 0o7777) !== 0o700 || !isOwn(stats)) return false;
  const names = readdirOrNothing(file);
  const isKnown = (name: string) => fixedNames.includes(name) || name.startsWith(stagedFilter);
  // A copy that is read has a staging directory of its own beside it, which is here.
  const patterns = [sidePattern, oldPattern, runLockPattern, stagingPattern];
  return names.every((name) => isKnown(name) || patterns.some((pattern) => pattern.test(name)));
}

function isOwn(stats: Stats): boolean {
  return stats.uid === process.geteuid?.();
}

function readdirOrNothing(file: string): string[] {
  try {
    return readdirSync(file);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** The slash keeps a file from being made where the directory has just gone. */
function tryLockDirectory(file: string): FileLock | undefined {
  try {
    return tryLock(`${file}/`);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Leaves room for the prefix and the suffix, and cuts between characters. */
function shortened(name: string): string {
  let short = name;
  while (Buffer.byteLength(short) > longestName - 2 - suffixBytes * 2) short = short.slice(0, -1);
  return short.isWellFormed() ? short : short.slice(0, -1);
}
