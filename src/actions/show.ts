/** `show IMAGE`: the manifest of an offered image, in whatever state (spec/imgadm.md §6). */

import {ImgctlError} from '../errors.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import type {ActionContext} from './context.ts';
import {findOffered} from './find-offered.ts';
import {checkUuid} from './installed.ts';
import {resolveOffered} from './resolve-image.ts';

export async function showImage(context: ActionContext, text: string): Promise<ImageManifest> {
  const named = await resolveOffered(context, text);
  if (named) checkUuid(named.uuid);
  const found = named && (await findOffered({...context, sources: named.sources}, named.uuid, () => true));
  if (found) return found.manifest;
  throw new ImgctlError('ImageNotFound', `image "${text}" was not found`, {
    hint: `offered images: ${context.program} avail`,
  });
}
