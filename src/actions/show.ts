/** `show UUID`: the manifest of an offered image, in whatever state (spec/imgadm.md §6). */

import {ImgctlError} from '../errors.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import type {ActionContext} from './context.ts';
import {findOffered} from './find-offered.ts';
import {checkUuid} from './installed.ts';

export async function showImage(context: ActionContext, uuid: string): Promise<ImageManifest> {
  checkUuid(uuid);
  const found = await findOffered(context, uuid, () => true);
  if (found) return found.manifest;
  throw new ImgctlError('ImageNotFound', `image "${uuid}" was not found`, {
    hint: `offered images: ${context.program} avail`,
  });
}
