/** What the engine over the bus checks before a call, and the errors and names it makes of its requests. */

import {fstatSync} from 'node:fs';
import path from 'node:path';
import type {ImageStore} from '../../engine/engine.ts';
import {ImgctlError} from '../../errors.ts';
import type {ImageClass} from '../../import1/image-class.ts';
import {isImageName} from '../../import1/image-name.ts';
import {transferFlags} from '../import1.ts';
import type {ServiceCall, ServiceTraits} from './import1-service.ts';

export function checkName(name: string): void {
  if (isImageName(name)) return;
  throw new ImgctlError('InvalidArgument', `${JSON.stringify(name)} is not a valid image name`);
}

/** Services know one directory for every class. */
export function checkStore({imageClass, directory}: ImageStore, known: string): void {
  if (directory === known) return;
  const text = `over the bus images of class ${imageClass} lie in "${known}", not in "${directory}"`;
  throw new ImgctlError('NotSupported', text, {hint: 'use --engine embedded'});
}

export function checkIsOpen(fd: number): void {
  try {
    fstatSync(fd);
  } catch (error) {
    throw new ImgctlError('InvalidArgument', `Descriptor ${fd} is not open`, {cause: error});
  }
}

export function throwIfAborted(signal: AbortSignal | undefined, attempted: string): void {
  if (signal?.aborted) throw new ImgctlError('Interrupted', `${attempted} was interrupted`);
}

export function flagBits(wanted: Partial<Record<keyof typeof transferFlags, boolean>>): bigint {
  return (Object.keys(transferFlags) as (keyof typeof transferFlags)[]).reduce(
    (bits, name) => (wanted[name] ? bits | transferFlags[name] : bits),
    0n,
  );
}

export function pathOf(store: ImageStore, name: string, format: 'tar' | 'raw' | 'directory'): string {
  return path.join(store.directory, format === 'raw' ? `${name}.raw` : name);
}

export function notThere(store: ImageStore, name: string): ImgctlError {
  return new ImgctlError('ImageNotInstalled', `image "${name}" does not exist in "${store.directory}"`);
}

export function alreadyThere(store: ImageStore, name: string): ImgctlError {
  return new ImgctlError('ImageAlreadyExists', `image "${name}" already exists in "${store.directory}"`, {
    hint: 'Choose another name, or use --force to replace it',
  });
}

export function tooOld(what: string, version: string): ImgctlError {
  return new ImgctlError('NotSupported', `the service on the bus is too old for ${what}`, {
    hint: `use --engine embedded, or systemd-importd of version ${version} or newer`,
  });
}

/** The call as the service knows it. */
export function versionedCall(
  traits: ServiceTraits,
  imageClass: ImageClass,
  calls: {
    old: {member: string; signature: string; body: unknown[]};
    ex: {signature: string; body: unknown[]};
  },
): Pick<ServiceCall, 'member' | 'signature' | 'body'> {
  if (traits.hasEx) return {member: `${calls.old.member}Ex`, ...calls.ex};
  if (imageClass !== 'machine') throw tooOld(`images of class ${imageClass}`, '256');
  return calls.old;
}
