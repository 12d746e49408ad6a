/**
 * The last stretch that import and install share (design.md §6): verified file → engine (decoded and stored under a
 * temporary name, synced) → record → renamed → catalog row. Whatever breaks in between, nothing is half visible.
 */

import type {ImageRecord} from '../catalog/records.ts';
import {ImgctlError} from '../errors.ts';
import {type ImageManifest, imageTitle} from '../manifest/manifest.ts';
import type {ActionContext, Pool} from './context.ts';
import {findInstalled, type InstalledImage} from './installed.ts';

export interface InstallOrder {
  manifest: ImageManifest;
  pool: Pool;
  /** Name in the pool's directory. */
  localName: string;
  /** URL of the source as the user typed it; undefined for a local file. */
  source: string | undefined;
  filePath: string;
  digests: NonNullable<ImageRecord['digests']>;
}

/** Largest image after decompression unless configured otherwise; importd's limit (spec/engine.md §2). */
const defaultMaxUnpackedBytes = 64 * 2 ** 30;

export async function installImage(context: ActionContext, order: InstallOrder): Promise<ImageRecord> {
  const {manifest, pool} = order;
  refuseIncremental(manifest);
  const record: ImageRecord = {
    manifest,
    pool: pool.name,
    localName: order.localName,
    ...(order.source !== undefined && {source: order.source}),
    digests: order.digests,
    verification: {level: 'checksum'},
    installedAt: context.now().toISOString(),
    instances: [],
  };
  const origin = await originOf(context, manifest);
  let recorded = false;
  try {
    const transfer = await context.engine.import({
      format: 'auto',
      store: pool.store,
      localName: order.localName,
      sourcePath: order.filePath,
      facts: order.digests,
      readOnly: true,
      ...(origin && {origin: {store: origin.pool.store, localName: origin.record.localName}}),
      maxUnpackedBytes: context.limits.unpackedBytes ?? defaultMaxUnpackedBytes,
      signal: context.signal,
      beforeCommit: async () => {
        recorded = true;
        await forgetNamesakes(context, record);
        await context.records.write(record);
      },
    });
    transfer.onProgress((fraction) => {
      context.report.progress({
        uuid: manifest.uuid,
        title: imageTitle(manifest),
        phase: 'unpack',
        doneBytes: Math.round((fraction ?? 0) * order.digests.sizeBytes),
        totalBytes: fraction === undefined ? undefined : order.digests.sizeBytes,
      });
    });
    const result = await transfer.finished;
    for (const notice of result.notices) context.report.notice(`${imageTitle(manifest)}: ${notice}`);
  } catch (error) {
    // A record without data is no image; with data that comes later it must be there.
    if (recorded && !isOutcomeUnknown(error)) await context.records.remove(manifest.uuid);
    throw error;
  } finally {
    context.report.progressEnd(manifest.uuid);
  }
  await context.catalog.images.put(record);
  return record;
}

/** Only the bytes tell whether they are changes; what they would be changes of is known here. */
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

/** The bytes of an incremental image are no whole image (design.md §5); taking them for one would lose data. */
export function refuseIncremental(manifest: ImageManifest): void {
  const delta = manifest.tags?.['imgctl:delta'];
  if (!manifest.origin || delta === undefined) return;
  throw new ImgctlError(
    'NotSupported',
    `image "${manifest.uuid}" is incremental (${String(delta)} over origin "${manifest.origin}"), which this version cannot install`,
  );
}
