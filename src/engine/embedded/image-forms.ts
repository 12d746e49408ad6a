import {lstatSync} from 'node:fs';
import path from 'node:path';
import {ImgctlError} from '../../errors.ts';
import {imageNameForms, isImageName} from '../../import1/image-name.ts';
import type {ImageStore} from '../engine.ts';

/** Files beside an image that belong to it (spec/engine.md §1). */
const siblingSuffixes = ['.nspawn', '.roothash', '.roothash.p7s', '.verity'];

/** What increments of an image of a ZFS stream need of it is beside it in a hidden file. */
export const zfsSuffix = '.zfs';

export function stateName(name: string): string {
  return `.${name}${zfsSuffix}`;
}

export function checkImageName(name: string): void {
  if (isImageName(name)) return;
  throw new ImgctlError('InvalidArgument', `${JSON.stringify(name)} is not a valid image name`);
}

/** Names under which the image exists in the store; none if it does not. */
export function existingForms(store: ImageStore, name: string): string[] {
  return imageNameForms(name, store.imageClass).filter((form) => isThere(store, form));
}

/** Names of files that go with the image. */
export function existingSiblings(store: ImageStore, name: string): string[] {
  const siblings = [...siblingSuffixes.map((suffix) => name + suffix), stateName(name)];
  return siblings.filter((sibling) => isThere(store, sibling));
}

/** Fails with `ImageAlreadyExists` if any form of the name is there; `.host` always is, for machines. */
export function checkIsFree(store: ImageStore, name: string): void {
  const isHost = store.imageClass === 'machine' && name === '.host';
  if (!isHost && existingForms(store, name).length === 0) return;
  throw alreadyExists(store, name);
}

export function alreadyExists(store: ImageStore, name: string, cause?: unknown): ImgctlError {
  return new ImgctlError('ImageAlreadyExists', `image "${name}" already exists in "${store.directory}"`, {
    ...(cause === undefined ? {} : {cause}),
    hint: 'Choose another name, or use --force to replace it',
  });
}

function isThere(store: ImageStore, name: string): boolean {
  if (Buffer.byteLength(name) > 255) return false;
  return lstatSync(path.join(store.directory, name), {throwIfNoEntry: false}) !== undefined;
}
