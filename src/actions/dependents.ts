/**
 * Who depends on an image (design.md §5): child images by `origin`, instances known to come from it, and in a pool of
 * type zfs whatever was cloned from it, by anybody.
 */

import type {ActionContext} from './context.ts';
import {type InstalledContext, type InstalledImage, listInstalled} from './installed.ts';
import {poolText} from './pools.ts';

/** Storage names, `POOL/NAME`: instances first, then child images. */
export async function dependentNames(context: InstalledContext, image: InstalledImage): Promise<string[]> {
  return dependentsAmong(context, image, await listInstalled(context));
}

/** The same, with the installed images at hand. */
export function dependentsAmong(
  context: Pick<ActionContext, 'pools'>,
  image: InstalledImage,
  installed: readonly InstalledImage[],
): string[] {
  const pool = poolText(context.pools, image.pool.name);
  const children = installed.filter((other) => other.record.manifest.origin === image.record.manifest.uuid);
  const known = [
    ...image.instances.map((name) => `${pool}/${name}`),
    ...children.map((child) => `${poolText(context.pools, child.pool.name)}/${child.record.localName}`),
  ];
  return [...new Set([...known, ...cloneNames(image, pool)])];
}

/** A dataset of the pool is named as its instances and images are, any other in full. */
function cloneNames({stored, pool: {store}}: InstalledImage, pool: string): string[] {
  const prefix = `${store.dataset}/`;
  return (stored.zfs?.clones ?? []).map((clone) =>
    clone.startsWith(prefix) ? `${pool}/${clone.slice(prefix.length)}` : clone,
  );
}
