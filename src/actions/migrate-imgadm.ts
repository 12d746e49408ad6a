/**
 * `migrate-imgadm DIR` (design.md §7): the sources of an old host become ours, and its images are named that must be
 * imported again; their data cannot be taken over. Everything is read and understood before the first thing is
 * written, which is the list of sources as a whole; running it again changes nothing more.
 */

import {ImgctlError} from '../errors.ts';
import {normaliseUrl} from '../imgapi/source-url.ts';
import {imageTitle} from '../manifest/manifest.ts';
import type {SourceSettings} from '../sources/source.ts';
import {dockerNotSupported, sourceType} from '../sources/source-type.ts';
import type {ActionContext} from './context.ts';
import {importImage} from './import.ts';
import {findInstalled} from './installed.ts';
import {type OldImage, type OldSource, readImgadmState} from './read-imgadm-state.ts';
import {isSameSource, type SourcesContext, sourceText} from './sources.ts';

export interface MigratedImage {
  uuid: string;
  name: string;
  version: string;
  /** The pool to import it into; absent for the default one. */
  zpool?: string;
  /** URL of the source it came from on the old host. */
  source?: string;
  /** `pending` has to be imported again. */
  state: 'installed' | 'pending' | 'failed';
  /** Why it failed. */
  error?: string;
}

export interface MigrationResult {
  action: 'migrated';
  /** Those that were added. */
  sources: SourceSettings[];
  images: MigratedImage[];
  dryRun?: true;
}

export type MigrateContext = SourcesContext &
  Pick<ActionContext, 'catalog' | 'records' | 'engine' | 'pools' | 'program'>;

/** Takes over the sources, and says which images are not here yet. Asks no server. */
export async function migrateImgadm(context: MigrateContext, directory: string): Promise<MigrationResult> {
  const state = await readImgadmState(directory);
  const images: MigratedImage[] = [];
  for (const old of state.images) images.push(await asMigrated(context, old));
  const wanted: SourceSettings[] = [];
  for (const old of state.sources ?? []) {
    const settings = await usableSource(context, old);
    if (settings && !wanted.some((source) => isSameSource(source, settings))) wanted.push(settings);
  }
  for (const warning of state.warnings) context.report.warn(warning);
  const sources = state.sources === undefined ? [] : await takeOver(context, wanted);
  return {action: 'migrated', sources, images};
}

/** Undefined, with a warning, for what no source of ours can be made of. */
async function usableSource(context: MigrateContext, old: OldSource): Promise<SourceSettings | undefined> {
  try {
    const settings = {...old, type: sourceType(old.type, old.url)};
    await context.open(settings);
    return settings;
  } catch (error) {
    if (!(error instanceof ImgctlError)) throw error;
    context.report.warn(`source "${old.url}" is left out: ${error.message}`);
    return undefined;
  }
}

/** Where nothing was configured the list becomes that of the old host; else what it lacks comes behind. */
async function takeOver(context: MigrateContext, wanted: SourceSettings[]): Promise<SourceSettings[]> {
  let added: SourceSettings[] = [];
  const lines: string[] = [];
  await context.store.change((current, isDefault) => {
    added = wanted.filter((source) => !current.some((other) => isSameSource(source, other)));
    const dropped = isDefault
      ? current.filter((source) => !wanted.some((other) => isSameSource(source, other)))
      : [];
    for (const source of dropped) lines.push(`Deleted ${sourceText(source)}`);
    for (const source of wanted)
      lines.push(
        added.includes(source)
          ? `Added ${sourceText(source)}`
          : `Already have ${sourceText(source)}, no change`,
      );
    if (isDefault) return wanted;
    return added.length === 0 ? current : [...current, ...added];
  });
  for (const line of lines) context.report.step(line);
  return added;
}

async function asMigrated(context: MigrateContext, old: OldImage): Promise<MigratedImage> {
  const {uuid, name, version, zpool, source} = old;
  const isKnownPool = context.pools.some((pool) => pool.name === zpool);
  const isDocker = old.type === 'docker' ? dockerNotSupported(`image "${uuid}"`).message : undefined;
  const isInstalled = (await findInstalled(context, uuid)) !== undefined;
  return {
    uuid,
    name,
    version,
    ...(zpool !== undefined && isKnownPool && {zpool}),
    ...(source !== undefined && {source}),
    state: isInstalled ? 'installed' : isDocker ? 'failed' : 'pending',
    ...(!isInstalled && isDocker !== undefined && {error: isDocker}),
  };
}

/** Says of each image what is to be done about it. */
export function tellImages(context: MigrateContext, {images}: MigrationResult): void {
  const {report, program} = context;
  for (const image of images) {
    const {uuid, zpool, state} = image;
    const title = imageTitle(image);
    const pool = zpool === undefined ? '' : ` -P ${zpool}`;
    if (state === 'installed')
      report.step(`Image ${uuid} (${image.name} ${image.version}) is already installed, skipping`);
    else if (state === 'failed') warnFailed(context, image);
    else report.step(`Image ${uuid} (${title}) must be imported again: ${program} import${pool} ${uuid}`);
  }
}

/** Imports what is pending, from the source it came from if that is still there. One that fails does not stop the others. */
export async function importMigrated(
  context: ActionContext,
  {images, ...result}: MigrationResult,
  {isFailFast}: {isFailFast: boolean},
): Promise<MigrationResult> {
  const done: MigratedImage[] = [];
  for (const [index, image] of images.entries()) {
    if (isFailFast && done.some(({state}) => state === 'failed')) {
      done.push(...images.slice(index));
      break;
    }
    const after = image.state === 'pending' ? await importOne(context, image) : image;
    if (after.state === 'failed') warnFailed(context, after);
    done.push(after);
  }
  const failed = done.filter(({state}) => state === 'failed').length;
  if (failed > 0) context.report.notice(`${failed} of ${done.length} images failed`);
  return {...result, images: done};
}

async function importOne(context: ActionContext, image: MigratedImage): Promise<MigratedImage> {
  const {uuid, zpool} = image;
  try {
    await importImage({...context, sources: preferred(context, image.source)}, {text: uuid, poolName: zpool});
    return {...image, state: 'installed'};
  } catch (error) {
    if (!(error instanceof ImgctlError) || error.code === 'Interrupted') throw error;
    return {...image, state: 'failed', error: error.message};
  }
}

function warnFailed({report}: Pick<SourcesContext, 'report'>, image: MigratedImage): void {
  report.warn(`image ${image.uuid} (${imageTitle(image)}) cannot be imported: ${image.error}`);
}

function preferred({sources}: ActionContext, url: string | undefined): ActionContext['sources'] {
  const wanted = url === undefined ? undefined : normalised(url);
  const isWanted = (source: ActionContext['sources'][number]): boolean =>
    wanted !== undefined && normaliseUrl(source.settings.url) === wanted;
  return [...sources.filter(isWanted), ...sources.filter((source) => !isWanted(source))];
}

/** A record may hold any text for a URL. */
function normalised(url: string): string | undefined {
  try {
    return normaliseUrl(url);
  } catch {
    return undefined;
  }
}
