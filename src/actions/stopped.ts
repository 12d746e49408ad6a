/** What is left of an import that was stopped (ux.md §11): told from what lies there, not from what was hoped. */

import {ImgctlError} from '../errors.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import {formatSize} from '../manifest/size-text.ts';
import type {ActionContext} from './context.ts';
import {findInstalled} from './installed.ts';

/** The error of who was stopped, with what became of the images; every other one as it is. */
export async function asStopped(
  context: ActionContext,
  error: unknown,
  {uuid, text, images}: {uuid: string; text: string; images: readonly ImageManifest[]},
): Promise<unknown> {
  if (!(error instanceof ImgctlError) || error.code !== 'Interrupted' || !context.signal.aborted)
    return error;
  const installed: string[] = [];
  let keptBytes = 0;
  let totalBytes = 0;
  for (const image of images) {
    if (await findInstalled(context, image.uuid)) {
      installed.push(image.uuid);
      continue;
    }
    const file = image.files?.[0];
    if (!file) continue;
    totalBytes += file.size;
    keptBytes += await context.downloads.presentBytes({sizeBytes: file.size, sha1: file.sha1});
  }
  const verb = installed.length === 1 ? 'was' : 'were';
  const done =
    installed.length === 0
      ? 'nothing was installed'
      : `${installed.length} of ${images.length} images ${verb} installed`;
  const left = `${done}; ${formatSize(keptBytes)} of ${formatSize(totalBytes)} kept`;
  return new ImgctlError('Interrupted', left, {
    cause: error,
    retryable: true,
    details: {left, uuid, text, installed, keptBytes, totalBytes},
  });
}
