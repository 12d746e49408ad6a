/** The instance that an image is made of, and the images it came from (spec/imgadm.md §9.2 steps 1 to 3). */

import type {StoredImage} from '../engine/engine.ts';
import {ImgctlError} from '../errors.ts';
import {findHostUses} from '../instances/host-uses.ts';
import type {ActionContext, Pool} from './context.ts';
import {DamagedRecords} from './damaged-records.ts';
import {findInstalled, type InstalledImage, listInstalled} from './installed.ts';
import {getPool} from './pools.ts';

export interface FoundInstance {
  name: string;
  /** Its directory or disk file; of a disk in a pool of type zfs its device. */
  path: string;
  isDisk: boolean;
  /** Of a disk. */
  sizeBytes: number | undefined;
  /** In a pool of type zfs. */
  dataset: string | undefined;
  /** A copy of it can be that of one moment, also while it runs. */
  isSubvolume: boolean;
  pool: Pool;
  /** The image it was made from, when that is known and still installed. */
  origin: InstalledImage | undefined;
}

/** `VmNotFound` for a name that is none in any pool of class machine, the default one first, or that of an image. */
export async function findInstance(context: ActionContext, name: string): Promise<FoundInstance> {
  const installed = await listInstalled(context, new DamagedRecords(context).note);
  for (const pool of context.pools.filter(({store}) => store.imageClass === 'machine')) {
    const found = (await context.engine.listImages(pool.store)).find((stored) => stored.name === name);
    if (!found || !isKnownKind(found)) continue;
    if (installed.some((image) => image.pool === pool && image.record.localName === name)) break;
    const origin = installed.find((image) => image.pool === pool && image.instances.includes(name));
    const isDisk = found.type === 'raw' || found.type === 'block';
    const {path, limitBytes: sizeBytes, zfs} = found;
    const isSubvolume = found.type === 'subvolume';
    return {name, path, isDisk, isSubvolume, sizeBytes, dataset: zfs?.dataset, pool, origin};
  }
  throw notFound(context, installed, name);
}

function notFound({pools}: ActionContext, installed: readonly InstalledImage[], name: string): ImgctlError {
  const isImage = installed.some((image) => image.record.localName === name);
  return new ImgctlError('VmNotFound', `vm "${name}" was not found`, {
    hint: isImage
      ? `"${name}" is an image; make an instance of it with: imgctl clone ${name} NAME`
      : `instances lie in "${getPool(pools, undefined).store.directory}"`,
  });
}

/** A device is known as a disk where it is one of ZFS. */
function isKnownKind({type, zfs}: StoredImage): boolean {
  return type !== 'block' || zfs !== undefined;
}

/** `VmNotStopped` while anything on the host uses it. True when something does and a copy that is a snapshot will do. */
export function requireStopped(instance: FoundInstance, {forCopy}: {forCopy: boolean}): boolean {
  const {path, name, dataset} = instance;
  const [use] = findHostUses({path, imageClass: 'machine', name, ...(dataset !== undefined && {dataset})});
  if (!use) return false;
  if (forCopy && instance.isSubvolume) return true;
  throw new ImgctlError('VmNotStopped', `vm "${instance.name}" is not stopped`, {
    hint: `it is ${use.text}; stop it first, for example: machinectl poweroff ${instance.name}`,
    details: {use},
  });
}

/** The origin counts 1, its origin 2, and so on (spec/imgadm.md §9.2 step 3). */
export async function checkOriginDepth(
  context: ActionContext,
  origin: InstalledImage | undefined,
  maxDepth: number | undefined,
): Promise<void> {
  if (maxDepth === undefined) return;
  const seen = new Set<string>();
  for (let image = origin; image; ) {
    const {uuid, origin: next} = image.record.manifest;
    if (seen.has(uuid)) return;
    seen.add(uuid);
    if (seen.size > maxDepth) {
      throw new ImgctlError(
        'MaxOriginDepth',
        `cannot create image: maximum origin depth "${maxDepth}" has been reached`,
      );
    }
    image = next === undefined ? undefined : await findInstalled(context, next);
  }
}
