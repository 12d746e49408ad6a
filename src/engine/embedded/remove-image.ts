import {closeSync, constants, fsyncSync, openSync} from 'node:fs';
import path from 'node:path';
import {renameAt} from '../../sys/files.ts';
import {makeStaging, type Staging} from '../../sys/staging.ts';
import type {ImageStore} from '../engine.ts';
import {freeze, thaw} from './freeze.ts';
import {existingForms, existingSiblings} from './image-forms.ts';

/**
 * Deletes an image with its siblings, read-only or not; false if it was not there. All of it is renamed away first,
 * so nobody sees half an image; a later failure leaves only temporary data, which the next sweep removes.
 */
export async function deleteImage(store: ImageStore, name: string): Promise<boolean> {
  const forms = existingForms(store, name);
  if (forms.length === 0) return false;
  const staging = makeStaging(store.directory, name);
  try {
    moveAway(store, staging, [...forms, ...existingSiblings(store, name)]);
  } finally {
    await staging.remove();
  }
  return true;
}

/** All or nothing: a name that cannot be moved brings the others back. */
function moveAway(store: ImageStore, staging: Staging, names: readonly string[]): void {
  const undo: (() => void)[] = [];
  const directory = openSync(store.directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (const [index, name] of names.entries()) {
      const file = path.join(store.directory, name);
      if (thaw(file)) undo.push(() => freeze(file));
      const away = staging.nameForOld(index);
      renameAt(directory, name, staging.fd, away, 'noReplace');
      undo.push(() => renameAt(staging.fd, away, directory, name, 'noReplace'));
    }
    fsyncSync(directory);
  } catch (error) {
    for (const step of undo.reverse()) step();
    throw error;
  } finally {
    closeSync(directory);
  }
}
