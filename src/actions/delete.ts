/** `delete UUID` (spec/imgadm.md §8): data first, then the record, then the catalog row. */

import {canRemove} from '../engine/capabilities.ts';
import {ImgctlError} from '../errors.ts';
import type {ActionContext} from './context.ts';
import {dependentNames} from './dependents.ts';
import {lockAgainstChildren, lockImport} from './image-locks.ts';
import {getInstalled, type InstalledImage} from './installed.ts';
import {findUses} from './uses.ts';

export interface DeleteResult {
  action: 'deleted';
  uuid: string;
  /** False when the user, asked, said no. */
  changed: boolean;
}

export async function deleteImage(
  context: ActionContext,
  options: {uuid: string; poolName?: string | undefined},
): Promise<DeleteResult> {
  const {uuid} = options;
  await removeImage(context, {uuid, poolName: options.poolName});
  context.report.step(`Deleted image ${uuid}`);
  return {action: 'deleted', uuid, changed: true};
}

/** Silent. Refuses what has dependents or is in use, looked at under the image's lock. */
export async function removeImage(
  context: ActionContext,
  {uuid, poolName}: {uuid: string; poolName: string | undefined},
): Promise<void> {
  await getInstalled(context, uuid, poolName);
  if (!canRemove(context.engine)) {
    throw new ImgctlError('NotSupported', `the ${context.engine.name} engine cannot remove images`);
  }
  const locks = [await lockImport(context, uuid)];
  try {
    const image = await getInstalled(context, uuid, poolName);
    locks.push(await lockAgainstChildren(context, uuid));
    await refuseDependents(context, image);
    await refuseUses(context, image);
    await context.engine.removeImage(image.pool.store, image.record.localName);
    await context.records.remove(uuid);
    await context.catalog.images.remove(uuid);
  } finally {
    for (const lock of locks) lock.release();
  }
}

async function refuseDependents(context: ActionContext, image: InstalledImage): Promise<void> {
  const {uuid} = image.record.manifest;
  const [first, ...others] = await dependentNames(context, image);
  if (first === undefined) return;
  const more = others.length > 0 ? ` and ${others.length} others...` : '';
  throw new ImgctlError('ImageHasDependentClones', `image "${uuid}" has dependent clones: ${first}${more}`, {
    hint: `see them with: ${context.program} get -r ${uuid}`,
  });
}

async function refuseUses(context: ActionContext, image: InstalledImage): Promise<void> {
  const uses = await findUses(context, image);
  if (uses.length === 0) return;
  throw new ImgctlError('ImageInUse', `image "${image.record.manifest.uuid}" is in use: ${uses.join(', ')}`, {
    details: {uses},
    retryable: true,
  });
}
