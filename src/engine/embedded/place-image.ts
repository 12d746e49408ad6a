/** The moment an image becomes visible: one rename, and everything around it that can still fail is undone. */
import {closeSync, constants, fsyncSync, lstatSync, openSync} from 'node:fs';
import path from 'node:path';
import {errnoOf, ImgctlError} from '../../errors.ts';
import {renameAt, setTimesAt} from '../../sys/files.ts';
import {type Staging, stagedRaw, stagedSide, stagedTree} from '../../sys/staging.ts';
import type {ImageStore} from '../engine.ts';
import {freeze, isForbidden, thaw} from './freeze.ts';
import {alreadyExists, existingForms, stateName, zfsSuffix} from './image-forms.ts';

const stagedState = stagedSide(zfsSuffix);
const longestName = 255;
const oldState = stagedSide('.old');

export interface PlaceRequest {
  staging: Staging;
  store: ImageStore;
  name: string;
  isRaw: boolean;
  force: boolean;
  readOnly: boolean;
}

export interface PlacedImage {
  path: string;
  notices: string[];
}

/**
 * Moves the staged data to its name. With `force` every form of the name that was there ends up in the staging
 * directory; without it nothing is ever replaced. After a failure the store is as it was, or its details say
 * `outcome: 'unknown'`: then the image may be there, and whole.
 */
export function placeImage(request: PlaceRequest): PlacedImage {
  const directory = openSync(request.store.directory, constants.O_RDONLY | constants.O_DIRECTORY);
  const placement = new Placement(request, directory);
  try {
    placement.run();
    fsyncSync(directory);
    return {path: path.join(request.store.directory, placement.finalName), notices: placement.notices};
  } catch (error) {
    placement.undo(error);
    throw errnoOf(error) === 'EEXIST' ? alreadyExists(request.store, request.name, error) : error;
  } finally {
    closeSync(directory);
  }
}

class Placement {
  readonly finalName: string;
  readonly notices: string[] = [];
  readonly #request: PlaceRequest;
  readonly #directory: number;
  /** Takes back what was done, the last first. */
  readonly #undo: (() => void)[] = [];

  constructor(request: PlaceRequest, directory: number) {
    this.#request = request;
    this.#directory = directory;
    this.finalName = request.isRaw ? `${request.name}.raw` : request.name;
  }

  run(): void {
    const {staging, store, name, isRaw, force, readOnly} = this.#request;
    const staged = isRaw ? stagedRaw : stagedTree;
    // Only a file can be moved once it is read-only: an immutable directory not at all (EPERM), a read-only
    // subvolume not to another directory (EROFS).
    if (readOnly && isRaw) this.#freeze(path.join(staging.path, staged));
    this.#moveStateAway();
    const old = force ? existingForms(store, name) : [];
    for (const form of old) this.#thaw(path.join(store.directory, form));
    if (old.includes(this.finalName)) this.#exchange(staged, staging.nameForOld(old.indexOf(this.finalName)));
    else this.#move(staging.fd, staged, this.#directory, this.finalName);
    for (const [index, form] of old.entries()) {
      if (form !== this.finalName) this.#move(this.#directory, form, staging.fd, staging.nameForOld(index));
    }
    if (readOnly && !isRaw) this.#freeze(path.join(store.directory, this.finalName));
    if (isIn(staging.path, stagedState))
      this.#move(staging.fd, stagedState, this.#directory, stateName(name));
  }

  /** So that at no time there is one beside an image that it does not describe. */
  #moveStateAway(): void {
    const {staging, store, name} = this.#request;
    if (!isIn(store.directory, stateName(name))) return;
    this.#move(this.#directory, stateName(name), staging.fd, oldState);
  }

  /** All that can be taken back is; where something cannot, the image may be seen, and who asked for it must know. */
  undo(cause: unknown): void {
    let isUndone = true;
    for (const step of this.#undo.splice(0).reverse()) {
      try {
        step();
      } catch {
        // What counts is the failure that came first.
        isUndone = false;
      }
    }
    if (isUndone) return;
    const {store, name} = this.#request;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ImgctlError(
      'FileSystem',
      `image "${name}" was not put into "${store.directory}" for good, and could not be taken out again: ${reason}`,
      {cause, details: {outcome: 'unknown'}},
    );
  }

  #move(fromDir: number, from: string, toDir: number, to: string): void {
    renameAt(fromDir, from, toDir, to, 'noReplace');
    this.#undo.push(() => renameAt(toDir, to, fromDir, from, 'noReplace'));
  }

  /** Both names exist all the time, so that nobody finds neither image. */
  #exchange(staged: string, oldName: string): void {
    const {staging, isRaw} = this.#request;
    const exchange = () => renameAt(staging.fd, staged, this.#directory, this.finalName, 'exchange');
    const {atimeNs, mtimeNs} = lstatSync(path.join(staging.path, staged), {bigint: true});
    try {
      exchange();
      this.#undo.push(exchange);
      // xfs gives a directory a new time with its new parent.
      if (!isRaw) setTimesAt(this.#directory, this.finalName, atimeNs, mtimeNs);
    } catch (error) {
      if (errnoOf(error) !== 'EINVAL') throw error; // a file system without exchange
      this.#move(this.#directory, this.finalName, staging.fd, oldName);
      this.#move(staging.fd, staged, this.#directory, this.finalName);
    }
  }

  #thaw(file: string): void {
    if (thaw(file)) this.#undo.push(() => freeze(file));
  }

  #freeze(file: string): void {
    try {
      const kind = freeze(file);
      if (kind === 'unsupported')
        this.notices.push('The image is not read-only: the file system cannot mark directories so');
      else this.#undo.push(() => thaw(file));
    } catch (error) {
      if (!isForbidden(error)) throw error;
      this.notices.push('The image is not read-only: only root can mark a directory so on this file system');
    }
  }
}

function isIn(directory: string, name: string): boolean {
  if (Buffer.byteLength(name) > longestName) return false;
  return lstatSync(path.join(directory, name), {throwIfNoEntry: false}) !== undefined;
}
