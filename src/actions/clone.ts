/** `clone UUID NAME`: an instance of an installed image (design.md §5). */

import {join} from 'node:path';
import type {ImageRecord} from '../catalog/records.ts';
import {canClone} from '../engine/capabilities.ts';
import type {ImageStore} from '../engine/engine.ts';
import {ImgctlError} from '../errors.ts';
import {isImageName} from '../import1/image-name.ts';
import {cloneInstance} from '../instances/clone.ts';
import {formatSize} from '../manifest/size-text.ts';
import type {ActionContext} from './context.ts';
import {lockImport} from './image-locks.ts';
import {installedBytes} from './image-size.ts';
import {getInstalled, type InstalledImage} from './installed.ts';

export interface CloneResult {
  action: 'cloned';
  uuid: string;
  name: string;
  path: string;
  changed: boolean;
  dryRun?: true;
}

/** The record names the instance before it exists, so that no instance is ever unknown to its image. */
export async function cloneImage(
  context: ActionContext,
  options: {uuid: string; name: string},
): Promise<CloneResult> {
  const {uuid, name} = options;
  const lock = await lockImport(context, uuid);
  try {
    const image = await getInstalled(context, uuid, undefined);
    const path = await makeInstance(context, image, name);
    return {action: 'cloned', uuid, name, path, changed: true};
  } finally {
    lock.release();
  }
}

/** Whether the instance could be made now, and where it would lie. */
export async function planClone(
  context: ActionContext,
  {uuid, name}: {uuid: string; name: string},
): Promise<CloneResult> {
  const image = await getInstalled(context, uuid, undefined);
  const machines = machineStore(image);
  const source = await imagePath(context, image);
  await refuseTaken(context, machines, name);
  const suffix = source.endsWith('.raw') ? '.raw' : '';
  const place = machines.dataset ?? machines.directory;
  const sizeBytes = await installedBytes(context, image);
  context.report.notice(`up to ${formatSize(sizeBytes)} to store in "${place}"`);
  return {action: 'cloned', uuid, name, path: join(place, `${name}${suffix}`), changed: false, dryRun: true};
}

/** By the engine where that can, else here. */
async function makeInstance(context: ActionContext, image: InstalledImage, name: string): Promise<string> {
  const {engine} = context;
  const machines = machineStore(image);
  const others = image.record.instances.filter((instance) => instance.name !== name);
  const noteInstance = async () => {
    const instances = [...others, {name, createdAt: context.now().toISOString()}];
    await saveInstances(context, image.record, instances);
  };
  if (!canClone(engine, machines)) {
    return cloneInstance({
      imagePath: await imagePath(context, image),
      imageClassDirectory: machines.directory,
      name,
      signal: context.signal,
      onNotice: (text) => context.report.notice(text),
      beforeCommit: noteInstance,
    });
  }
  await refuseTaken(context, machines, name);
  await noteInstance();
  try {
    return await engine.cloneImage(machines, image.record.localName, name);
  } catch (error) {
    await saveInstances(context, image.record, others);
    throw error;
  }
}

/** Before the record names an instance that is not its own. */
async function refuseTaken(context: ActionContext, machines: ImageStore, name: string): Promise<void> {
  if (!isImageName(name)) throw new ImgctlError('InvalidArgument', `invalid instance name: "${name}"`);
  const stored = await context.engine.listImages(machines);
  if (!stored.some((candidate) => candidate.name === name)) return;
  throw new ImgctlError('InstanceExists', `instance "${name}" already exists`);
}

/** Without its row the image is read from its record, so a stop between the two shows nothing old. */
async function saveInstances(
  context: ActionContext,
  record: ImageRecord,
  instances: ImageRecord['instances'],
): Promise<void> {
  const changed = {...record, instances};
  await context.catalog.images.remove(record.manifest.uuid);
  await context.records.write(changed);
  await context.catalog.images.put(changed);
}

function machineStore(image: InstalledImage): ImageStore {
  if (image.pool.store.imageClass === 'machine') return image.pool.store;
  throw new ImgctlError(
    'NotSupported',
    `image "${image.record.manifest.uuid}" is of class ${image.pool.store.imageClass}; instances are made of machine images only`,
  );
}

async function imagePath(context: ActionContext, image: InstalledImage): Promise<string> {
  const stored = await context.engine.listImages(image.pool.store);
  const found = stored.find((candidate) => candidate.name === image.record.localName);
  if (found) return found.path;
  throw new ImgctlError('ImageNotInstalled', `image "${image.record.manifest.uuid}" has no data`);
}
