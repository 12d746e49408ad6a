import {closeSync, constants, fsyncSync, openSync} from 'node:fs';
import path from 'node:path';
import {isNoSpace} from '../../errors.ts';
import {destroySubvolumeAt, findSubvolumeQuota, isBtrfsSubvolume} from '../../sys/btrfs.ts';
import {syncFileSystem} from '../../sys/contents.ts';
import {renameAt} from '../../sys/files.ts';
import {removeTreeAt} from '../../sys/remove-tree.ts';
import {makeStaging, type Staging} from '../../sys/staging.ts';
import type {ImageStore} from '../engine.ts';
import {freeze, thaw} from './freeze.ts';
import {existingForms, existingSiblings} from './image-forms.ts';

/** BTRFS_IOC_SNAP_DESTROY asks for three blocks of at most 64 KiB. */
const subvolumeRoomBytes = 3 * 64 * 1024;

/**
 * Deletes an image with its siblings, read-only or not; false if it was not there. All of it is renamed away first,
 * so nobody sees half an image; a later failure leaves only temporary data, which the next sweep removes. Where there is
 * no space to rename into, it is removed where it stands: deleting is what makes space.
 */
export async function deleteImage(store: ImageStore, name: string): Promise<boolean> {
  const forms = existingForms(store, name);
  if (forms.length === 0) return false;
  const names = [...forms, ...existingSiblings(store, name)];
  const staging = await movedAway(store, name, names);
  if (staging) await staging.remove();
  else await removeInPlace(store, names);
  return true;
}

/** Undefined when nothing could be moved for want of space. */
async function movedAway(
  store: ImageStore,
  name: string,
  names: readonly string[],
): Promise<Staging | undefined> {
  let staging: Staging | undefined;
  try {
    staging = makeStaging(store.directory, name);
    moveAway(store, staging, names);
    return staging;
  } catch (error) {
    await staging?.remove();
    if (isNoSpace(error)) return undefined;
    throw error;
  }
}

/** A disk goes in one step. A tree that is killed half-way stays installed, and is deleted by the next try. */
async function removeInPlace(store: ImageStore, names: readonly string[]): Promise<void> {
  const directory = openSync(store.directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (const name of names) {
      if (isBtrfsSubvolume(path.join(store.directory, name))) await removeSubvolume(directory, name);
      else await removeTreeAt(directory, name);
    }
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/**
 * The kernel takes a subvolume out only with room for metadata in the quota of the directory, of which the contents may
 * hold a part; where they do not, nothing is touched and the failure is the kernel's.
 */
async function removeSubvolume(directory: number, name: string): Promise<void> {
  const quota = findSubvolumeQuota(directory);
  const roomBytes = (quota?.limitBytes ?? Number.POSITIVE_INFINITY) - (quota?.referencedBytes ?? 0);
  if (roomBytes < subvolumeRoomBytes) return destroySubvolumeAt(directory, name);
  try {
    await removeTreeAt(directory, name);
  } catch (error) {
    if (!isNoSpace(error)) throw error;
    // What was freed counts from the next commit on.
    syncFileSystem(directory);
    await removeTreeAt(directory, name);
  }
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
