/**
 * Locks of single images. Who changes an image holds its import lock. Who makes a child of it holds its origin lock
 * from before the child is fetched until the child is recorded, together with others: delete, which must see either
 * the child or the lock, takes the whole of it. Import locks come before origin locks, of a chain the top first.
 */

import {ImgctlError} from '../errors.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import type {ActionContext, HeldLock} from './context.ts';
import {findInstalled} from './installed.ts';
import {showOthersDownload} from './others-download.ts';

/** One lock per image and root; for an import from before the download to after the catalog row. */
export function lockImport(context: ActionContext, uuid: string): Promise<HeldLock> {
  return context.locks.acquire(`import-${uuid}`, {
    signal: context.signal,
    onWait: () => context.report.step(`Waiting for image ${uuid} import lock`),
  });
}

/** The same, and shows meanwhile how far the process is that has it. */
async function lockImportOf(context: ActionContext, image: ImageManifest): Promise<HeldLock> {
  const stopShowing = {now: (): void => undefined};
  try {
    return await context.locks.acquire(`import-${image.uuid}`, {
      signal: context.signal,
      onWait: () => {
        context.report.step(`Waiting for image ${image.uuid} import lock`);
        stopShowing.now = showOthersDownload(context, image);
      },
    });
  } finally {
    stopShowing.now();
  }
}

/** Keeps an origin from being deleted; it may be gone by the time the lock is held. */
export function lockOrigin(context: ActionContext, uuid: string): Promise<HeldLock> {
  return context.locks.acquire(`origin-${uuid}`, {signal: context.signal, mode: 'shared'});
}

/** For a delete, which holds the import lock: nobody begins a child of the image until this is released. */
export async function lockAgainstChildren(context: ActionContext, uuid: string): Promise<HeldLock> {
  const lock = await context.locks.tryAcquire(`origin-${uuid}`);
  if (lock) return lock;
  throw new ImgctlError(
    'ImageInUse',
    `image "${uuid}" is in use: it is the origin of an image that is being installed`,
    {retryable: true, hint: 'run the same command again when that is done'},
  );
}

export interface LockedChain {
  /** Base first; what of the chain is to be installed. */
  missing: ImageManifest[];
  release(): void;
}

/** Locks what of the chain (base first) is not installed for us to install it, and what is against deletion. */
export async function lockChain(
  context: ActionContext,
  chain: readonly ImageManifest[],
): Promise<LockedChain> {
  for (;;) {
    const locks: HeldLock[] = [];
    const release = (): void => {
      for (const lock of locks) lock.release();
    };
    try {
      const wanted = await missingOf(context, chain);
      for (const image of [...wanted].reverse()) locks.push(await lockImportOf(context, image));
      for (const image of chain)
        if (!wanted.includes(image)) locks.push(await lockOrigin(context, image.uuid));
      const missing = await missingOf(context, chain);
      // Else an origin was deleted before its lock was held: it is one more to install.
      if (missing.every((image) => wanted.includes(image))) return {missing, release};
    } catch (error) {
      release();
      throw error;
    }
    release();
  }
}

/** Base first; what of the chain is not installed. */
export async function missingOf(
  context: ActionContext,
  chain: readonly ImageManifest[],
): Promise<ImageManifest[]> {
  const missing: ImageManifest[] = [];
  for (const image of chain) if (!(await findInstalled(context, image.uuid))) missing.push(image);
  return missing;
}
