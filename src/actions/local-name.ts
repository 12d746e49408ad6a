/**
 * Local names of images (design.md §5): in class machine the UUID; the other classes need a readable name, since
 * systemd matches it, and have the manifest's or the one that was asked for.
 */

import {ImgctlError} from '../errors.ts';
import {isImageName} from '../import1/image-name.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import type {ActionContext, Pool} from './context.ts';
import {poolText} from './pools.ts';

/** Refuses a name that was asked for where there can be none, or that is none. */
export function checkLocalName(pool: Pool, name: string | undefined): void {
  if (name === undefined) return;
  if (pool.store.imageClass === 'machine') {
    throw new ImgctlError('Usage', `images of class machine are named by their UUID, not "${name}"`, {
      hint: '--name is for pools of class portable, sysext and confext',
    });
  }
  if (!isImageName(name)) throw new ImgctlError('InvalidArgument', `invalid image name: "${name}"`);
}

/** `InvalidArgument` when the manifest's name cannot be one. */
export function localNameFor(manifest: ImageManifest, pool: Pool, asked?: string): string {
  if (pool.store.imageClass === 'machine') return manifest.uuid;
  const name = asked ?? manifest.name;
  if (isImageName(name)) return name;
  throw new ImgctlError(
    'InvalidArgument',
    `image "${manifest.uuid}" cannot be named "${name}" in pool "${pool.name}"`,
    {hint: 'give it another name with --name'},
  );
}

/** `ImageAlreadyExists` when the pool has an image of one of the names, or two of them are the same. */
export async function refuseTakenNames(
  context: Pick<ActionContext, 'engine' | 'pools'>,
  pool: Pool,
  names: readonly string[],
): Promise<void> {
  if (pool.store.imageClass === 'machine') return;
  const taken = new Set((await context.engine.listImages(pool.store)).map((image) => image.name));
  for (const name of names) {
    if (taken.has(name)) {
      throw new ImgctlError(
        'ImageAlreadyExists',
        `zpool "${poolText(context.pools, pool.name)}" already has an image named "${name}"`,
        {hint: 'choose another name with --name'},
      );
    }
    taken.add(name);
  }
}
