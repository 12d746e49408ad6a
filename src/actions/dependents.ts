/** Who depends on an image (design.md §5): child images by `origin`, and instances known to come from it. */

import type {ActionContext} from './context.ts';
import {type InstalledImage, listInstalled} from './installed.ts';
import {poolText} from './pools.ts';

type DependentsContext = Pick<ActionContext, 'catalog' | 'records' | 'engine' | 'pools'>;

/** Storage names, `POOL/NAME`: instances first, then child images. */
export async function dependentNames(context: DependentsContext, image: InstalledImage): Promise<string[]> {
  return dependentsAmong(context, image, await listInstalled(context));
}

/** The same, with the installed images at hand. */
export function dependentsAmong(
  context: Pick<ActionContext, 'pools'>,
  image: InstalledImage,
  installed: readonly InstalledImage[],
): string[] {
  const machinePool = poolText(context.pools, context.pools[0]?.name ?? '');
  const children = installed.filter((other) => other.record.manifest.origin === image.record.manifest.uuid);
  return [
    ...image.instances.map((name) => `${machinePool}/${name}`),
    ...children.map((child) => `${poolText(context.pools, child.pool.name)}/${child.record.localName}`),
  ];
}
