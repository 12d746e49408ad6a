/**
 * The last stretch that import and install share (design.md §6): verified file → engine (decoded and stored under a
 * temporary name, synced) → record → renamed → catalog row. Whatever breaks in between, nothing is half visible. A file that
 * is still arriving is decoded meanwhile, and goes on from there when it has been verified.
 */

import type {ImageRecord} from '../catalog/records.ts';
import {canDelta, canImportArriving} from '../engine/capabilities.ts';
import type {ArrivingFile, ImageStore, ImportRequest, Transfer} from '../engine/engine.ts';
import {ImgctlError} from '../errors.ts';
import {type ImageManifest, imageTitle} from '../manifest/manifest.ts';
import type {ActionContext, Pool, ProgressUpdate} from './context.ts';
import {deltaOf} from './delta.ts';
import {findInstalled, type InstalledImage} from './installed.ts';
import {poolText} from './pools.ts';

export interface InstallOrder {
  manifest: ImageManifest;
  pool: Pool;
  /** Name in the pool's directory. */
  localName: string;
  /** URL of the source as the user typed it; undefined for a local file. */
  source: string | undefined;
  filePath: string;
  /** The manifest had a digest to compare with. */
  isVerified: boolean;
  /** Of what is still arriving they are known once it has been verified. */
  digests: FileDigests | Promise<FileDigests>;
  /** Set for what is still arriving; then the engine is one that can import it. */
  arriving?: {fd: number; file: ArrivingFile};
}

export type FileDigests = NonNullable<ImageRecord['digests']>;

/** Largest image after decompression unless configured otherwise; importd's limit (spec/engine.md §2). */
const defaultMaxUnpackedBytes = 64 * 2 ** 30;

export async function installImage(context: ActionContext, order: InstallOrder): Promise<ImageRecord> {
  const {manifest, pool, arriving} = order;
  const origin = await originOf(context, manifest);
  const digests = arriving ? undefined : await order.digests;
  let record: ImageRecord | undefined;
  try {
    const transfer = await startImport(context, order, origin, {
      store: pool.store,
      localName: order.localName,
      sourcePath: order.filePath,
      ...(digests && {facts: digests}),
      readOnly: true,
      maxUnpackedBytes: context.limits.unpackedBytes ?? defaultMaxUnpackedBytes,
      signal: context.signal,
      digestContents: true,
      beforeCommit: async ({contentDigest}) => {
        const stored = recordOf(context, order, {digests: await order.digests, contentDigest});
        record = stored;
        await forgetNamesakes(context, stored);
        await context.records.write(stored);
      },
    });
    const sizeBytes = arriving?.file.sizeBytes ?? digests?.sizeBytes ?? 0;
    transfer.onProgress((fraction) => context.report.progress(storing(order, sizeBytes, fraction)));
    const result = await transfer.finished;
    for (const notice of result.notices) context.report.notice(`${imageTitle(manifest)}: ${notice}`);
  } catch (error) {
    context.report.progressEnd(manifest.uuid, false);
    // A record without data is no image; with data that comes later it must be there.
    if (record && !isOutcomeUnknown(error)) await context.records.remove(manifest.uuid);
    throw explained(error, manifest);
  }
  if (!record) throw new Error('An engine says what it is about to show');
  await context.catalog.images.put(record);
  context.report.progressEnd(manifest.uuid, true);
  return record;
}

function recordOf(
  context: ActionContext,
  {manifest, pool, localName, source, isVerified}: InstallOrder,
  {digests, contentDigest}: {digests: FileDigests; contentDigest: string | undefined},
): ImageRecord {
  return {
    manifest,
    pool: pool.name,
    localName,
    ...(source !== undefined && {source}),
    digests,
    verification: {level: isVerified ? 'checksum' : 'none'},
    installedAt: context.now().toISOString(),
    instances: [],
    ...(contentDigest !== undefined && {contentDigest}),
  };
}

/** Once all of it is written it still has to be synced, recorded and renamed, of which there are no numbers. */
function storing({manifest}: InstallOrder, sizeBytes: number, fraction: number | undefined): ProgressUpdate {
  const isKnown = fraction !== undefined && fraction < 1;
  return {
    uuid: manifest.uuid,
    title: imageTitle(manifest),
    phase: fraction === 1 ? 'commit' : 'unpack',
    doneBytes: isKnown ? Math.round(fraction * sizeBytes) : 0,
    totalBytes: isKnown ? sizeBytes : undefined,
    fileBytes: sizeBytes,
  };
}

/** One that its manifest says is incremental is put over its origin; what others are over theirs, their bytes tell. */
async function startImport(
  context: ActionContext,
  {manifest, arriving}: InstallOrder,
  origin: InstalledImage | undefined,
  request: Omit<ImportRequest, 'format'>,
): Promise<Transfer> {
  const delta = deltaOf(manifest);
  const {engine} = context;
  if (arriving) {
    if (!canImportArriving(engine, request.store)) throw new Error('The engine takes whole files only');
    const {fd: sourceFd, file: arrival} = arriving;
    return engine.importArriving({...request, format: 'auto', sourceFd, arrival});
  }
  const base = origin && {store: origin.pool.store, localName: origin.record.localName};
  if (!delta) return engine.import({...request, format: 'auto', ...(base && {origin: base})});
  if (!canDelta(engine)) {
    throw new ImgctlError(
      'NotSupported',
      `image "${manifest.uuid}" is incremental, which this engine cannot install`,
    );
  }
  if (!base) throw originNotInstalled(context, manifest, request.store);
  return engine.importDelta({
    ...request,
    format: delta.kind === 'oci-layer' ? 'tar' : 'raw',
    base,
    ...(delta.originDigest === undefined ? {} : {baseDigest: delta.originDigest}),
  });
}

/** `OriginNotInstalled`, naming the pool that the image was meant for. */
export function originNotInstalled(
  context: Pick<ActionContext, 'pools' | 'program'>,
  manifest: ImageManifest,
  store: ImageStore,
): ImgctlError {
  const pool = context.pools.find((candidate) => candidate.store === store);
  return new ImgctlError(
    'OriginNotInstalled',
    `origin image "${manifest.origin}" was not found on zpool "${poolText(context.pools, pool?.name ?? '')}"`,
    {hint: `install it first: ${context.program} import ${manifest.origin}`},
  );
}

/** What the engine says of the base is said of the images. */
function explained(error: unknown, manifest: ImageManifest): unknown {
  if (!(error instanceof ImgctlError) || error.code !== 'OriginMismatch') return error;
  return new ImgctlError(
    'OriginMismatch',
    `origin image "${manifest.origin}" is not what image "${manifest.uuid}" was made over: its contents are others`,
    {
      cause: error,
      hint: 'if the origin was changed here, delete it and import it again',
      ...(error.details ? {details: error.details} : {}),
    },
  );
}

/** What its bytes may be changes of. */
async function originOf(
  context: ActionContext,
  {origin}: ImageManifest,
): Promise<InstalledImage | undefined> {
  return origin === undefined ? undefined : await findInstalled(context, origin);
}

function isOutcomeUnknown(error: unknown): boolean {
  return error instanceof ImgctlError && error.details?.outcome === 'unknown';
}

/**
 * The name is free, or the engine would have refused it: whatever was recorded under it has lost its data, and must
 * not take this image's data for its own.
 */
async function forgetNamesakes(context: ActionContext, record: ImageRecord): Promise<void> {
  // A name that is the image's own UUID has no namesakes.
  if (record.localName === record.manifest.uuid) return;
  for (const uuid of await context.records.listUuids()) {
    if (uuid === record.manifest.uuid) continue;
    const other = await context.records.find(uuid).catch(() => undefined);
    if (other?.pool !== record.pool || other.localName !== record.localName) continue;
    await context.catalog.images.remove(uuid);
    await context.records.remove(uuid);
  }
}
