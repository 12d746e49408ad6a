/** `delete UUID` (spec/imgadm.md §8): data first, then the record, then the catalog row. */

import {canRemove} from '../engine/capabilities.ts';
import type {Engine, ImageRemover} from '../engine/engine.ts';
import {ImgctlError} from '../errors.ts';
import {formatSize} from '../manifest/size-text.ts';
import type {ActionContext} from './context.ts';
import {dependentNames} from './dependents.ts';
import {lockAgainstChildren, lockImport} from './image-locks.ts';
import {installedBytes} from './image-size.ts';
import {getInstalled, type InstalledImage} from './installed.ts';
import {findUses} from './uses.ts';

export interface DeleteResult {
  action: 'deleted';
  uuid: string;
  /** False when the user, asked, said no. */
  changed: boolean;
  dryRun?: true;
  /** Of a dry run alone. */
  freedBytes?: number;
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

/** Whether the image could be deleted now, and what that would free. */
export async function planDelete(
  context: ActionContext,
  {uuid, poolName}: {uuid: string; poolName?: string | undefined},
): Promise<DeleteResult> {
  const image = await getInstalled(context, uuid, poolName);
  requireRemoval(context.engine);
  await refuseDependents(context, image);
  await refuseUses(context, image);
  const freedBytes = await installedBytes(context, image);
  context.report.step(`[dry-run] Deleted image ${uuid}`);
  context.report.notice(`${formatSize(freedBytes)} would be freed`);
  return {action: 'deleted', uuid, changed: false, dryRun: true, freedBytes};
}

function requireRemoval(engine: Engine): asserts engine is Engine & ImageRemover {
  if (!canRemove(engine))
    throw new ImgctlError('NotSupported', `the ${engine.name} engine cannot remove images`);
}

/** Silent. Refuses what has dependents or is in use, looked at under the image's lock. */
export async function removeImage(
  context: ActionContext,
  {uuid, poolName}: {uuid: string; poolName: string | undefined},
): Promise<void> {
  const {engine} = context;
  await getInstalled(context, uuid, poolName);
  requireRemoval(engine);
  const locks = [await lockImport(context, uuid)];
  try {
    const image = await getInstalled(context, uuid, poolName);
    locks.push(await lockAgainstChildren(context, uuid));
    await refuseDependents(context, image);
    await refuseUses(context, image);
    await engine.removeImage(image.pool.store, image.record.localName);
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
