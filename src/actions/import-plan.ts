/** What an import would do, found out before the first byte (ux.md §10); the import itself makes the same checks. */

import {type ImageManifest, imageTitle} from '../manifest/manifest.ts';
import {checkPlatform} from '../manifest/platform.ts';
import {formatSize} from '../manifest/size-text.ts';
import type {VerifiedSource} from '../sources/source.ts';
import type {ActionContext, Pool} from './context.ts';
import {missingOf} from './image-locks.ts';
import {localNameFor, refuseTakenNames} from './local-name.ts';
import {checkSpaceFor, type SpacePlan} from './space-plan.ts';

/** What was done; `changed` is false when the image was there. */
export interface ImportResult {
  action: 'imported';
  uuid: string;
  changed: boolean;
  /** Images installed by this run, base first. */
  installed: string[];
  /** Of a dry run alone: what would be installed. */
  dryRun?: true;
  images?: PlannedImage[];
}

export interface PlannedImage {
  uuid: string;
  name: string;
  version: string;
  /** Of the file. */
  sizeBytes: number;
}

export interface ChainOrder {
  source: VerifiedSource;
  pool: Pool;
  top: ImageManifest;
  /** Base first; the last is `top`. */
  chain: ImageManifest[];
  /** Of `top`. */
  localName: string | undefined;
  isPlain: boolean;
  /** How the image was named. */
  text: string;
}

/** Whatever can be found out before the first byte. */
export async function checkChain(
  context: ActionContext,
  order: ChainOrder,
  missing: readonly ImageManifest[],
  {isDryRun = false} = {},
): Promise<SpacePlan> {
  if (context.platform !== undefined) for (const image of missing) checkPlatform(image, context.platform);
  await refuseTakenNames(
    context,
    order.pool,
    missing.map((image) => nameOf(order, image)),
  );
  announce(context, missing);
  return checkSpaceFor(context, order.pool, missing, {isDryRun});
}

/** Takes no locks: what it tells is of now. */
export async function planChain(context: ActionContext, order: ChainOrder): Promise<ImportResult> {
  const missing = await missingOf(context, order.chain);
  const {downloadBytes, storeBytes} = await checkChain(context, order, missing, {isDryRun: true});
  for (const image of missing) order.source.checkFile(image);
  for (const image of missing)
    context.report.step(`[dry-run] Imported image ${image.uuid} (${imageTitle(image)})`);
  context.report.notice(
    `${formatSize(downloadBytes)} to download, at least ${formatSize(storeBytes)} to store in "${order.pool.store.directory}"`,
  );
  const images = missing.map(({uuid, name, version, files}) => {
    return {uuid, name, version, sizeBytes: files?.[0]?.size ?? 0};
  });
  return {action: 'imported', uuid: order.top.uuid, changed: false, installed: [], dryRun: true, images};
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

export function nameOf(order: ChainOrder, manifest: ImageManifest): string {
  return localNameFor(manifest, order.pool, manifest === order.top ? order.localName : undefined);
}
