/** Who waits for an image that another process imports sees how far that one is (ux.md §6). */

import {type ImageManifest, imageTitle} from '../manifest/manifest.ts';
import type {ActionContext} from './context.ts';

const everyMs = 500;

/** Until what it returns is called; the bytes are those that lie in the cache. */
export function showOthersDownload(
  {downloads, report}: Pick<ActionContext, 'downloads' | 'report'>,
  image: ImageManifest,
): () => void {
  const file = image.files?.[0];
  if (!file) return () => undefined;
  let isOver = false;
  const look = async (): Promise<void> => {
    const doneBytes = await downloads.presentBytes({sizeBytes: file.size, sha1: file.sha1});
    if (isOver) return;
    const {uuid} = image;
    report.progress({uuid, title: imageTitle(image), phase: 'wait', doneBytes, totalBytes: file.size});
  };
  // What cannot be looked at is not shown.
  const timer = setInterval(() => look().catch(() => undefined), everyMs);
  return () => {
    isOver = true;
    clearInterval(timer);
  };
}
