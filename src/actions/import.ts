/**
 * `import IMAGE` (spec/imgadm.md §7.1): find it, gather its ancestry in the same source, lock, plan space, download
 * up to five at a time base first, install one at a time, an image only after its origin.
 */

import type {CachedFile} from '../downloads/cached-file.ts';
import {ImgctlError} from '../errors.ts';
import {type ImageManifest, imageTitle, isUuid} from '../manifest/manifest.ts';
import {formatSize} from '../manifest/size-text.ts';
import type {VerifiedSource} from '../sources/source.ts';
import {gatherAncestry} from './ancestry-of-offer.ts';
import type {ActionContext, HeldLock, Pool} from './context.ts';
import {findOffered} from './find-offered.ts';
import {installImage, localNameFor, refuseIncremental} from './install-image.ts';
import {findInstalled} from './installed.ts';
import {getPool, poolText} from './pools.ts';
import {resolveOffered} from './resolve-image.ts';
import {checkSpaceFor} from './space-plan.ts';

export interface ImportOptions {
  poolName?: string | undefined;
}

/** What was done; `changed` is false when the image was there. */
export interface ImportResult {
  action: 'imported';
  uuid: string;
  changed: boolean;
  /** Images installed by this run, base first. */
  installed: string[];
}

const parallelDownloads = 5;

/** Imports what the text names; a full UUID that is installed is not looked for in the sources. */
export async function importImage(
  context: ActionContext,
  options: ImportOptions & {text: string},
): Promise<ImportResult> {
  const named = await resolveOffered(context, options.text);
  if (!named) throw notOffered(context, options.text);
  return importByUuid({...context, sources: named.sources}, {...options, uuid: named.uuid});
}

async function importByUuid(
  context: ActionContext,
  options: ImportOptions & {uuid: string},
): Promise<ImportResult> {
  const {uuid} = options;
  checkUuidArgument(uuid);
  const pool = getPool(context.pools, options.poolName);
  const present = await findInstalled(context, uuid);
  if (present) {
    refuseOtherPool(context, uuid, present.pool, pool);
    const {name, version} = present.record.manifest;
    context.report.step(`Image ${uuid} (${name} ${version}) is already installed, skipping`);
    return {action: 'imported', uuid, changed: false, installed: []};
  }
  const found = await findOffered(context, uuid, (manifest) => manifest.state === 'active');
  if (!found) throw notOffered(context, uuid);
  const {manifest, source} = found;
  context.report.step(`Importing ${uuid} (${imageTitle(manifest)}) from "${source.settings.url}"`);
  context.report.step(`Gather image ${uuid} ancestry`);
  const chain = await gatherAncestry(context, source, manifest);
  chain.forEach(refuseIncremental);
  const missing: ImageManifest[] = [];
  for (const image of chain) {
    if (image.uuid !== uuid && (await findInstalled(context, image.uuid))) {
      context.report.step(`Image ${image.uuid} already installed`);
    } else {
      missing.push(image);
    }
  }
  return importChain(context, {source, pool, top: manifest, missing});
}

interface ChainOrder {
  source: VerifiedSource;
  pool: Pool;
  top: ImageManifest;
  /** To be installed, base first; the last is `top`. */
  missing: ImageManifest[];
}

async function importChain(context: ActionContext, order: ChainOrder): Promise<ImportResult> {
  const {top} = order;
  const locks: HeldLock[] = [];
  try {
    // Top first everywhere, so that two processes cannot wait for each other.
    for (const image of [...order.missing].reverse()) locks.push(await lockImport(context, image.uuid));
    if (await findInstalled(context, top.uuid)) {
      context.report.step(`Image ${top.uuid} (${imageTitle(top)}) was imported while waiting on lock`);
      return {action: 'imported', uuid: top.uuid, changed: false, installed: []};
    }
    const missing: ImageManifest[] = [];
    for (const image of order.missing) if (!(await findInstalled(context, image.uuid))) missing.push(image);
    announce(context, missing);
    await checkSpaceFor(context, order.pool, missing);
    await downloadAndInstall(context, {...order, missing});
    return {action: 'imported', uuid: top.uuid, changed: true, installed: missing.map((image) => image.uuid)};
  } finally {
    for (const lock of locks) lock.release();
  }
}

/** One lock per image and root, held from before the download to after the catalog row. */
export function lockImport(context: ActionContext, uuid: string): Promise<HeldLock> {
  return context.locks.acquire(`import-${uuid}`, {
    signal: context.signal,
    onWait: () => context.report.step(`Waiting for image ${uuid} import lock`),
  });
}

function announce(context: ActionContext, missing: readonly ImageManifest[]): void {
  const sizes = missing.map((image) => image.files?.[0]?.size);
  const total = sizes.reduce<number | undefined>((sum, size) => {
    return sum === undefined || size === undefined ? undefined : sum + size;
  }, 0);
  const noun = missing.length === 1 ? 'image' : 'images';
  const bracket = total === undefined ? '' : ` (${formatSize(total)})`;
  context.report.step(`Must download and install ${missing.length} ${noun}${bracket}`);
}

/** Downloads run ahead; installs keep the order of the chain. The first failure stops all the others. */
async function downloadAndInstall(context: ActionContext, order: ChainOrder): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const inner: ActionContext = {...context, signal};
  const running: Promise<CachedFile>[] = [];
  const start = (index: number): void => {
    const manifest = order.missing[index];
    if (!manifest) return;
    const download = downloadFile(inner, order.source, manifest);
    // Awaited in order below; until then a failure must not count as unhandled.
    download.catch(() => undefined);
    running[index] = download;
  };
  for (let index = 0; index < Math.min(parallelDownloads, order.missing.length); index += 1) start(index);
  try {
    for (const [index, manifest] of order.missing.entries()) {
      const file = await running[index];
      start(index + parallelDownloads);
      if (file) await installDownloaded(inner, order, manifest, file);
    }
  } catch (error) {
    if (error instanceof ImgctlError && error.code !== 'Interrupted')
      context.report.step(`Aborting (${error.message})`);
    stop.abort();
    const left = await Promise.allSettled(running);
    for (const outcome of left)
      if (outcome.status === 'fulfilled') await outcome.value.release().catch(() => undefined);
    throw error;
  }
}

async function downloadFile(
  context: ActionContext,
  source: VerifiedSource,
  manifest: ImageManifest,
): Promise<CachedFile> {
  const title = imageTitle(manifest);
  try {
    const file = await source.fetchFile(manifest, {
      signal: context.signal,
      onProgress: (progress) => context.report.progress({uuid: manifest.uuid, title, ...progress}),
      onRetry: (retry) => {
        const wait = `${Math.ceil(retry.waitMs / 1000)}s`;
        context.report.notice(`retry ${retry.attempt} of ${retry.of} in ${wait}: ${retry.cause}`);
      },
    });
    context.report.step(`Downloaded image ${manifest.uuid} (${formatSize(file.sizeBytes)})`);
    return file;
  } finally {
    context.report.progressEnd(manifest.uuid);
  }
}

async function installDownloaded(
  context: ActionContext,
  order: ChainOrder,
  manifest: ImageManifest,
  file: CachedFile,
): Promise<void> {
  try {
    await installImage(context, {
      manifest,
      pool: order.pool,
      localName: localNameFor(manifest, order.pool),
      source: order.source.settings.url,
      filePath: file.path,
      digests: {sha1: file.sha1, sha256: file.sha256, sizeBytes: file.sizeBytes},
    });
  } finally {
    await file.release();
  }
  context.report.step(`Imported image ${manifest.uuid} (${imageTitle(manifest)})`);
}

function checkUuidArgument(uuid: string): void {
  if (!isUuid(uuid)) throw new ImgctlError('Usage', `invalid image-id arg: ${JSON.stringify(uuid)}`);
}

function refuseOtherPool(context: ActionContext, uuid: string, present: Pool, wanted: Pool): void {
  if (present === wanted) return;
  throw new ImgctlError(
    'ImageAlreadyExists',
    `image "${uuid}" is already installed on zpool "${poolText(context.pools, present.name)}"`,
    {hint: `an image is in one pool; to move it: ${context.program} delete ${uuid}, then import it again`},
  );
}

function notOffered(context: ActionContext, uuid: string): ImgctlError {
  const tried = context.sources.map((source) => source.settings.url);
  return new ImgctlError('ActiveImageNotFound', `an active image "${uuid}" was not found in image sources`, {
    hint: `offered images: ${context.program} avail`,
    details: {tried},
  });
}
