/** `install -m MANIFEST -f FILE` (spec/imgadm.md §7.3): a local file and its manifest. */

import {createReadStream} from 'node:fs';
import {stat} from 'node:fs/promises';
import path from 'node:path';
import {errnoOf, ImgctlError} from '../errors.ts';
import {sniffCompression} from '../formats/sniff.ts';
import {type ImageManifest, imageTitle, isUuid} from '../manifest/manifest.ts';
import {checkManifest, parseManifest} from '../manifest/parse.ts';
import {checkPlatform} from '../manifest/platform.ts';
import {formatSize} from '../manifest/size-text.ts';
import {FileDigester} from '../verify/digester.ts';
import type {ActionContext, Pool} from './context.ts';
import {deltaOf} from './delta.ts';
import {lockImport, lockOrigin} from './image-locks.ts';
import {refuseOtherPool} from './import.ts';
import {installImage, originNotInstalled} from './install-image.ts';
import {findInstalled} from './installed.ts';
import {checkLocalName, localNameFor, refuseTakenNames} from './local-name.ts';
import {getPool} from './pools.ts';
import {readHead} from './read-head.ts';
import {readManifestFile} from './read-manifest-file.ts';
import {checkStoreSpace} from './space-plan.ts';

export interface InstallOptions {
  manifestPath: string;
  filePath: string;
  /** What relative paths start from. */
  cwd: string;
  poolName?: string | undefined;
  /** Name in a pool that is not of class machine; else the manifest's. */
  localName?: string | undefined;
  /** Reads and compares all, and installs nothing. */
  isDryRun?: boolean;
}

export interface InstallResult {
  action: 'installed';
  uuid: string;
  changed: boolean;
  dryRun?: true;
}

export async function installFromFile(
  context: ActionContext,
  options: InstallOptions,
): Promise<InstallResult> {
  const {manifestPath, filePath} = options;
  const text = await readManifestFile(
    manifestPath,
    'Usage',
    `manifest path does not exist: "${manifestPath}"`,
  );
  await requireFile(filePath);
  const manifest = readable(text, manifestPath, context);
  const {uuid} = manifest;
  const pool = getPool(context.pools, options.poolName);
  checkLocalName(pool, options.localName);
  const present = await findInstalled(context, uuid);
  if (present) {
    refuseOtherPool(context, uuid, present.pool, pool);
    const {name, version} = present.record.manifest;
    context.report.step(`Image ${uuid} (${name} ${version}) is already installed, skipping`);
    return {action: 'installed', uuid, changed: false};
  }
  context.report.step(`Installing image ${uuid} (${imageTitle(manifest)})`);
  checkManifest(manifest, 'minimal');
  if (context.platform !== undefined) checkPlatform(manifest, context.platform);
  deltaOf(manifest); // refuses what cannot be installed, before the file is read
  if (options.isDryRun) return planInstall(context, {manifest, pool, options});
  const locks = [await lockImport(context, uuid)];
  try {
    if (await findInstalled(context, uuid)) {
      context.report.step(`Image ${uuid} (${imageTitle(manifest)}) was installed while waiting on lock`);
      return {action: 'installed', uuid, changed: false};
    }
    if (manifest.origin) locks.push(await lockOrigin(context, manifest.origin));
    const {localName, digests} = await checkInstall(context, {manifest, pool, options});
    await installImage(context, {
      manifest: await withFile(manifest, filePath, digests),
      pool,
      localName,
      source: undefined,
      filePath: path.resolve(options.cwd, filePath),
      isVerified: manifest.files?.[0] !== undefined,
      digests,
    });
  } finally {
    for (const lock of locks) lock.release();
  }
  context.report.step(`Installed image ${uuid} (${imageTitle(manifest)})`);
  return {action: 'installed', uuid, changed: true};
}

interface InstallOrder {
  manifest: ImageManifest;
  pool: Pool;
  options: InstallOptions;
}

/** Whatever can be found out before a byte is stored. */
async function checkInstall(
  context: ActionContext,
  {manifest, pool, options}: InstallOrder,
): Promise<{localName: string; digests: Awaited<ReturnType<typeof verifyLocalFile>>}> {
  await requireOrigin(context, manifest, pool);
  const localName = localNameFor(manifest, pool, options.localName);
  await refuseTakenNames(context, pool, [localName]);
  await checkStoreSpace(pool, manifest, {isDryRun: options.isDryRun === true});
  return {localName, digests: await verifyLocalFile(context, manifest, options.filePath)};
}

/** Takes no locks: what it tells is of now. */
async function planInstall(context: ActionContext, order: InstallOrder): Promise<InstallResult> {
  const {digests} = await checkInstall(context, order);
  const {uuid} = order.manifest;
  context.report.step(`[dry-run] Installed image ${uuid} (${imageTitle(order.manifest)})`);
  context.report.notice(`${formatSize(digests.sizeBytes)} to store in "${order.pool.store.directory}"`);
  return {action: 'installed', uuid, changed: false, dryRun: true};
}

/** Upgraded, with a date; a bad UUID is told before anything else of the manifest. */
function readable(text: string, manifestPath: string, context: ActionContext): ImageManifest {
  const manifest = parseManifest(text, manifestPath);
  if (!isUuid(manifest.uuid))
    throw new ImgctlError('InvalidUUID', `invalid uuid: "${String(manifest.uuid)}"`);
  return manifest.published_at ? manifest : {...manifest, published_at: context.now().toISOString()};
}

export async function requireFile(filePath: string): Promise<void> {
  try {
    await stat(filePath);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT')
      throw new ImgctlError('Usage', `file path does not exist: "${filePath}"`);
    throw error;
  }
}

async function requireOrigin(context: ActionContext, manifest: ImageManifest, pool: Pool): Promise<void> {
  if (!manifest.origin || (await findInstalled(context, manifest.origin))) return;
  throw originNotInstalled(context, manifest, pool.store);
}

/**
 * A manifest that says nothing of its file gets what we know of it (spec/imgadm.md §7.3), unless its compression is one
 * that manifests have no word for.
 */
async function withFile(
  manifest: ImageManifest,
  filePath: string,
  digests: {sha1: string; sizeBytes: number},
): Promise<ImageManifest> {
  if (manifest.files && manifest.files.length > 0) return manifest;
  const compression = sniffCompression(await readHead(filePath));
  if (compression === 'zstd' || compression === 'lz4') return manifest;
  return {...manifest, files: [{sha1: digests.sha1, size: digests.sizeBytes, compression}]};
}

/** Size and sha1 where the manifest has them; digests of the file for the record in any case. */
export async function verifyLocalFile(
  context: Pick<ActionContext, 'signal' | 'report'>,
  manifest: ImageManifest,
  filePath: string,
): Promise<{sha1: string; sha256: string; sizeBytes: number}> {
  const file = manifest.files?.[0];
  const {size} = await stat(filePath);
  if (file && file.size !== size) {
    throw new ImgctlError(
      'DownloadError',
      `image file size error: manifest says ${file.size} bytes, ${filePath} is ${size} bytes`,
    );
  }
  // The words of image servers (spec/imgapi.md §3.6); the size of a pipe is no size.
  if (size === 0 && !file)
    throw new ImgctlError(
      'DownloadError',
      `image file size error: ${filePath} is 0 bytes, empty files are not allowed`,
    );
  const tap = new FileDigester();
  let doneBytes = 0;
  try {
    for await (const chunk of createReadStream(filePath, {highWaterMark: 1 << 20, signal: context.signal})) {
      tap.update(chunk);
      doneBytes += chunk.length;
      context.report.progress({
        uuid: manifest.uuid,
        title: imageTitle(manifest),
        phase: 'verify',
        doneBytes,
        totalBytes: size,
      });
    }
  } catch (error) {
    context.report.progressEnd(manifest.uuid, false);
    throw error;
  }
  const {sha1, sha256} = tap.digests();
  if (file && String(file.sha1).toLowerCase() !== sha1) {
    throw new ImgctlError(
      'DownloadError',
      `image file checksum (sha1) error: manifest says "${file.sha1}", ${filePath} is "${sha1}"`,
    );
  }
  return {sha1, sha256, sizeBytes: doneBytes};
}
