/**
 * `import IMAGE` (spec/imgadm.md §7.1): find it, gather its ancestry in the same source, lock, plan space, download
 * up to five at a time base first, install one at a time, an image only after its origin.
 */

import type {CachedFile} from '../downloads/cached-file.ts';
import type {ArrivalWatcher} from '../downloads/fetch-request.ts';
import {canImportArriving} from '../engine/capabilities.ts';
import {ImgctlError} from '../errors.ts';
import {sniffCompression} from '../formats/sniff.ts';
import {type ImageManifest, imageTitle, isUuid} from '../manifest/manifest.ts';
import {formatSize} from '../manifest/size-text.ts';
import type {VerifiedSource} from '../sources/source.ts';
import {dockerNotSupported} from '../sources/source-type.ts';
import {gatherAncestry} from './ancestry-of-offer.ts';
import type {ActionContext, Pool} from './context.ts';
import {deltaOf} from './delta.ts';
import {EarlyInstall} from './early-install.ts';
import {findOffered} from './find-offered.ts';
import {lockChain} from './image-locks.ts';
import {type ChainOrder, checkChain, type ImportResult, nameOf, planChain} from './import-plan.ts';
import {type InstallOrder, installImage} from './install-image.ts';
import {findInstalled} from './installed.ts';
import {checkLocalName} from './local-name.ts';
import {getPool, poolText} from './pools.ts';
import {readHead} from './read-head.ts';
import {resolveOffered} from './resolve-image.ts';
import {asStopped} from './stopped.ts';

export interface ImportOptions {
  poolName?: string | undefined;
  /** Name in a pool that is not of class machine; else the manifest's. */
  localName?: string | undefined;
  /** The user says that the file is not compressed. Every digest is compared all the same (design.md §7). */
  isPlain?: boolean;
  /** Only finds out what would be done. */
  isDryRun?: boolean;
}

const parallelDownloads = 5;

/** `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`, by the grammar of docker references. */
const dockerReference =
  /^(?=.{1,255}$)(?:[a-z0-9.-]+(?::\d+)?\/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;

/** Imports what the text names; a full UUID that is installed is not looked for in the sources. */
export async function importImage(
  context: ActionContext,
  options: ImportOptions & {text: string},
): Promise<ImportResult> {
  if (context.program === 'imgadm') checkUuidArgument(options.text);
  const named = await withResolving(context, options.text, () => resolveOffered(context, options.text));
  if (!named) {
    // No name of ours has a slash.
    if (options.text.includes('/') && dockerReference.test(options.text))
      throw dockerNotSupported(`image "${options.text}"`);
    throw notOffered(context, options.text);
  }
  return importByUuid({...context, sources: named.sources}, {...options, uuid: named.uuid});
}

async function importByUuid(
  context: ActionContext,
  options: ImportOptions & {text: string; uuid: string},
): Promise<ImportResult> {
  const {uuid} = options;
  checkUuidArgument(uuid);
  const pool = getPool(context.pools, options.poolName);
  checkLocalName(pool, options.localName);
  const present = await findInstalled(context, uuid);
  if (present) {
    refuseOtherPool(context, uuid, present.pool, pool);
    const {name, version} = present.record.manifest;
    context.report.step(`Image ${uuid} (${name} ${version}) is already installed, skipping`);
    return {action: 'imported', uuid, changed: false, installed: []};
  }
  const isActive = (manifest: ImageManifest): boolean => manifest.state === 'active';
  const found = await withResolving(context, uuid, () => findOffered(context, uuid, isActive));
  if (!found) throw notOffered(context, uuid);
  const {manifest, source} = found;
  const {url, channel} = source.settings;
  const channelText = channel === undefined ? '' : `, channel "${channel}"`;
  context.report.step(`Importing ${uuid} (${imageTitle(manifest)}) from "${url}"${channelText}`);
  context.report.step(`Gather image ${uuid} ancestry`);
  const chain = await gatherAncestry(context, source, manifest);
  chain.forEach(deltaOf); // refuses what cannot be installed, before anything is downloaded
  for (const image of chain) {
    if (image.uuid !== uuid && (await findInstalled(context, image.uuid)))
      context.report.step(`Image ${image.uuid} already installed`);
  }
  const {localName, isPlain = false, text} = options;
  const order = {source, pool, top: manifest, chain, localName, isPlain, text};
  return options.isDryRun ? planChain(context, order) : importChain(context, order);
}

/** Shows that the sources are being asked. */
async function withResolving<T>(context: ActionContext, text: string, ask: () => Promise<T>): Promise<T> {
  context.report.progress({uuid: text, title: text, phase: 'resolve', doneBytes: 0, totalBytes: undefined});
  try {
    return await ask();
  } finally {
    context.report.progressEnd(text, false);
  }
}

async function importChain(context: ActionContext, order: ChainOrder): Promise<ImportResult> {
  const {top} = order;
  const locked = await lockChain(context, order.chain);
  const {missing} = locked;
  for (const image of order.chain) if (!missing.includes(image)) context.report.progressEnd(image.uuid, true);
  try {
    if (!missing.includes(top)) {
      context.report.step(`Image ${top.uuid} (${imageTitle(top)}) was imported while waiting on lock`);
      return {action: 'imported', uuid: top.uuid, changed: false, installed: []};
    }
    await checkChain(context, order, missing);
    context.report.expect(missing.map(({uuid, files}) => ({uuid, sizeBytes: files?.[0]?.size})));
    await downloadAndInstall(context, order, missing);
    return {action: 'imported', uuid: top.uuid, changed: true, installed: missing.map((image) => image.uuid)};
  } catch (error) {
    throw await asStopped(context, error, {uuid: top.uuid, text: order.text, images: missing});
  } finally {
    locked.release();
  }
}

/** Downloads run ahead; installs keep the order of the chain. The first failure stops all the others. */
async function downloadAndInstall(
  context: ActionContext,
  order: ChainOrder,
  missing: readonly ImageManifest[],
): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const inner: ActionContext = {...context, signal};
  const running: Promise<CachedFile>[] = [];
  await using early = beginEarly(inner, order, missing[0]);
  const start = (index: number): void => {
    const manifest = missing[index];
    if (!manifest) return;
    const download = downloadFile(inner, order.source, manifest, index === 0 ? early : undefined);
    // Awaited in order below; until then a failure must not count as unhandled.
    download.catch(() => undefined);
    running[index] = download;
  };
  for (let index = 0; index < Math.min(parallelDownloads, missing.length); index += 1) start(index);
  try {
    for (const [index, manifest] of missing.entries()) {
      const file = await running[index];
      start(index + parallelDownloads);
      if (file)
        await installDownloaded(inner, order, {manifest, file, early: index === 0 ? early : undefined});
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

/** What is installed while it arrives: the first of the chain, if it goes over nothing. */
function beginEarly(
  context: ActionContext,
  order: ChainOrder,
  manifest: ImageManifest | undefined,
): EarlyInstall | undefined {
  const sizeBytes = manifest?.files?.[0]?.size;
  if (!manifest || manifest.origin || sizeBytes === undefined || isToldPlain(order, manifest))
    return undefined;
  if (!canImportArriving(context.engine, order.pool.store)) return undefined;
  return new EarlyInstall(context, installOrder(order, manifest), sizeBytes);
}

async function downloadFile(
  context: ActionContext,
  source: VerifiedSource,
  manifest: ImageManifest,
  watcher: ArrivalWatcher | undefined,
): Promise<CachedFile> {
  const {report} = context;
  const {uuid} = manifest;
  const title = imageTitle(manifest);
  try {
    const file = await source.fetchFile(manifest, {
      signal: context.signal,
      onProgress: (progress) => report.progress({uuid, title, ...progress}),
      onRetry: (retry) => report.retry(uuid, retry),
      ...(watcher && {watcher}),
    });
    const {sizeBytes, reusedBytes} = file;
    // Until those it is made of are installed.
    report.progress({uuid, title, phase: 'wait', doneBytes: 0, totalBytes: undefined, fileBytes: sizeBytes});
    report.transferStep(`Downloaded image ${uuid} (${formatSize(sizeBytes)})`);
    if (reusedBytes >= sizeBytes)
      report.notice(`${title}: nothing was downloaded, ${formatSize(sizeBytes)} were in the cache`);
    return file;
  } catch (error) {
    report.progressEnd(uuid, false);
    throw error;
  }
}

interface Downloaded {
  manifest: ImageManifest;
  file: CachedFile;
  /** What has been made of it by now. */
  early: EarlyInstall | undefined;
}

async function installDownloaded(
  context: ActionContext,
  order: ChainOrder,
  {manifest, file, early}: Downloaded,
): Promise<void> {
  const digests = {sha1: file.sha1, sha256: file.sha256, sizeBytes: file.sizeBytes};
  try {
    if (isToldPlain(order, manifest)) await refuseCompressed(manifest, file.path);
    if (!(await early?.finish(digests)))
      await installImage(context, {...installOrder(order, manifest), filePath: file.path, digests});
  } finally {
    await file.release();
  }
  context.report.transferStep(`Imported image ${manifest.uuid} (${imageTitle(manifest)})`);
}

function installOrder(
  order: ChainOrder,
  manifest: ImageManifest,
): Omit<InstallOrder, 'filePath' | 'digests'> {
  return {
    manifest,
    pool: order.pool,
    localName: nameOf(order, manifest),
    source: order.source.settings.url,
    isVerified: true,
  };
}

function isToldPlain(order: ChainOrder, manifest: ImageManifest): boolean {
  return order.isPlain && manifest === order.top;
}

/** `Usage` for what names no image, `NotSupported` for what names one of a docker registry. */
function checkUuidArgument(text: string): void {
  if (isUuid(text)) return;
  if (dockerReference.test(text)) throw dockerNotSupported(`image "${text}"`);
  throw new ImgctlError('Usage', `invalid image-id arg: ${JSON.stringify(text)}`);
}

/** `zstd`, `gzip` and so on in a file that was said to be plain: what would be installed is not what was meant. */
async function refuseCompressed(manifest: ImageManifest, file: string): Promise<void> {
  const compression = sniffCompression(await readHead(file));
  if (compression === 'none') return;
  throw new ImgctlError(
    'InvalidArgument',
    `the file of image "${manifest.uuid}" is compressed (${compression}), though --zstream says that it is not`,
    {hint: 'leave out --zstream'},
  );
}

/** An image is in one pool; asking for it in another is no success. */
export function refuseOtherPool(
  context: Pick<ActionContext, 'pools' | 'program'>,
  uuid: string,
  present: Pool,
  wanted: Pool,
): void {
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
