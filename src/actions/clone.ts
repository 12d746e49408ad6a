/** `clone UUID NAME`: an instance of an installed image (design.md §5). */

import type {ImageRecord} from '../catalog/records.ts';
import {ImgctlError} from '../errors.ts';
import {cloneInstance} from '../instances/clone.ts';
import type {ActionContext} from './context.ts';
import {lockImport} from './image-locks.ts';
import {getInstalled, type InstalledImage} from './installed.ts';

export interface CloneResult {
  action: 'cloned';
  uuid: string;
  name: string;
  path: string;
  changed: true;
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
    const machines = machineStore(image);
    const path = await cloneInstance({
      imagePath: await imagePath(context, image),
      imageClassDirectory: machines.directory,
      name,
      signal: context.signal,
      onNotice: (text) => context.report.notice(text),
      beforeCommit: async () => {
        await saveInstances(context, image.record, [
          ...image.record.instances.filter((instance) => instance.name !== name),
          {name, createdAt: context.now().toISOString()},
        ]);
      },
    });
    return {action: 'cloned', uuid, name, path, changed: true};
  } finally {
    lock.release();
  }
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

function machineStore(image: InstalledImage): {directory: string} {
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
