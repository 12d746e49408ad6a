/**
 * Who depends on an image (design.md §5): child images by `origin`, instances known to come from it, and in a pool of
 * type zfs whatever was cloned from it, by anybody.
 */

import type {BriefRecord} from '../catalog/images.ts';
import type {ActionContext} from './context.ts';
import {DamagedRecords} from './damaged-records.ts';
import {type InstalledContext, type InstalledImage, listInstalledBriefly} from './installed.ts';
import {poolText} from './pools.ts';

type Brief = InstalledImage<BriefRecord>;

/** Storage names, `POOL/NAME`: instances first, then child images; last the images whose damaged records name it. */
export async function dependentNames(
  context: InstalledContext & Pick<ActionContext, 'report'>,
  image: InstalledImage,
): Promise<string[]> {
  const damaged = new DamagedRecords(context);
  const installed = await listInstalledBriefly(context, damaged.note);
  const names = dependentsAmong(context, image, childrenByOrigin(installed));
  return [...names, ...(await damaged.naming(image.record.manifest.uuid))];
}

/** Installed images by the UUID of their origin, for `dependentsAmong`. */
export function childrenByOrigin(installed: readonly Brief[]): ReadonlyMap<string, readonly Brief[]> {
  const children = new Map<string, Brief[]>();
  for (const image of installed) {
    const {origin} = image.record.manifest;
    if (origin === undefined || origin === null) continue;
    const siblings = children.get(origin);
    if (siblings) siblings.push(image);
    else children.set(origin, [image]);
  }
  return children;
}

/** The same as `dependentNames`, with the installed images at hand. */
export function dependentsAmong(
  context: Pick<ActionContext, 'pools'>,
  image: Brief,
  children: ReadonlyMap<string, readonly Brief[]>,
): string[] {
  const own = children.get(image.record.manifest.uuid);
  // Which is so of most of ten thousand.
  if (!own && image.instances.length === 0 && !image.stored.zfs) return [];
  const pool = poolText(context.pools, image.pool.name);
  const known = [
    ...image.instances.map((name) => `${pool}/${name}`),
    ...(own ?? []).map((child) => `${poolText(context.pools, child.pool.name)}/${child.record.localName}`),
  ];
  return [...new Set([...known, ...cloneNames(image, pool)])];
}

/** A dataset of the pool is named as its instances and images are, any other in full. */
function cloneNames({stored, pool: {store}}: Brief, pool: string): string[] {
  const prefix = `${store.dataset}/`;
  return (stored.zfs?.clones ?? []).map((clone) =>
    clone.startsWith(prefix) ? `${pool}/${clone.slice(prefix.length)}` : clone,
  );
}
