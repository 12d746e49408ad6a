/**
 * Naming an image by something else than its UUID (ux.md §3.2): `name@version`, `name` for the newest, or the beginning
 * of its UUID; `SOURCE:` in front keeps to one source. A full UUID needs no look-up, and under the name `imgadm`
 * nothing else is a name.
 */

import {ImgctlError} from '../errors.ts';
import {normaliseUrl} from '../imgapi/source-url.ts';
import {type ImageManifest, imageTitle, isUuid} from '../manifest/manifest.ts';
import {compareNewest} from '../manifest/newest.ts';
import type {SourceSettings, VerifiedSource} from '../sources/source.ts';
import type {ActionContext} from './context.ts';
import {DamagedRecords} from './damaged-records.ts';
import {requireSources} from './find-offered.ts';
import {type InstalledContext, listInstalled, notInstalled} from './installed.ts';
import {asOne, gatherOffers} from './offers.ts';
import {getPool} from './pools.ts';

export interface NamedImage {
  manifest: ImageManifest;
  /** URL of its source. */
  source?: string;
}

const maxListedCandidates = 10;

/**
 * The image that the text names. The first rule that names exactly one wins; `AmbiguousImage` with the candidates when
 * rules name several and none names one, undefined when none names any.
 */
export function chooseImage<I extends NamedImage>(text: string, images: readonly I[]): I | undefined {
  const several: I[] = [];
  for (const rule of [withTitle, newestOfName, withUuidPrefix]) {
    const named = rule(text, images);
    if (named.length === 1) return named[0];
    several.push(...named);
  }
  if (several.length > 0) throw ambiguous(text, [...new Set(several)]);
  return undefined;
}

function withTitle<I extends NamedImage>(text: string, images: readonly I[]): I[] {
  return text.includes('@') ? images.filter(({manifest}) => imageTitle(manifest) === text) : [];
}

/** More than one only when nothing tells which is newer. */
function newestOfName<I extends NamedImage>(text: string, images: readonly I[]): I[] {
  const sorted = images
    .filter(({manifest}) => manifest.name === text)
    .sort((a, b) => compareNewest(a.manifest, b.manifest));
  const [newest] = sorted;
  return newest ? sorted.filter(({manifest}) => compareNewest(newest.manifest, manifest) === 0) : [];
}

function withUuidPrefix<I extends NamedImage>(text: string, images: readonly I[]): I[] {
  if (!/^[0-9a-f]{4}[0-9a-f-]*$/.test(text)) return [];
  return images.filter(({manifest}) => manifest.uuid.startsWith(text));
}

function ambiguous(text: string, candidates: readonly NamedImage[]): ImgctlError {
  const lines = candidates.slice(0, maxListedCandidates).map(({manifest, source}) => {
    return `    ${manifest.uuid} (${imageTitle(manifest)})${source === undefined ? '' : ` from "${source}"`}`;
  });
  const more = candidates.length - lines.length;
  if (more > 0) lines.push(`    and ${more} more`);
  return new ImgctlError(
    'AmbiguousImage',
    [`"${text}" names ${candidates.length} images:`, ...lines].join('\n'),
    {
      details: {candidates: candidates.map(({manifest}) => manifest.uuid)},
      hint: 'name it by its full UUID',
    },
  );
}

/** Takes `SOURCE:` off, SOURCE being the name or the URL of one of the sources. */
export function splitSource(
  sources: readonly SourceSettings[],
  text: string,
): {source: SourceSettings | undefined; name: string} {
  for (let colon = text.lastIndexOf(':'); colon > 0; colon = text.lastIndexOf(':', colon - 1)) {
    const prefix = text.slice(0, colon);
    const source = sources.find((settings) => isNamed(settings, prefix));
    if (source) return {source, name: text.slice(colon + 1)};
  }
  return {source: undefined, name: text};
}

function isNamed(settings: SourceSettings, text: string): boolean {
  if ('name' in settings && settings.name === text) return true;
  try {
    return normaliseUrl(settings.url) === normaliseUrl(text);
  } catch (error) {
    if (error instanceof ImgctlError) return false;
    throw error;
  }
}

export interface ResolvedOffer {
  uuid: string;
  /** Where to ask for it: where the name was found, else all of them. */
  sources: readonly VerifiedSource[];
}

/**
 * The offered image that the text names, the sources being asked what they have; undefined when none names it. A text
 * that is a full UUID comes back as it is.
 */
export async function resolveOffered(
  context: ActionContext,
  text: string,
): Promise<ResolvedOffer | undefined> {
  if (context.program === 'imgadm' || isUuid(text)) return {uuid: text, sources: context.sources};
  requireSources(context);
  const {source, name} = splitSource(
    context.sources.map(({settings}) => settings),
    text,
  );
  const sources = source ? context.sources.filter(({settings}) => settings === source) : context.sources;
  if (isUuid(name)) return {uuid: name, sources};
  const {rows, failures} = await gatherOffers({...context, sources});
  const found = chooseImage(name, rows);
  if (found) {
    return {
      uuid: found.manifest.uuid,
      sources: sources.filter(({settings}) => settings.url === found.source),
    };
  }
  const failure = asOne(failures);
  if (failure) throw failure;
  return undefined;
}

/** The UUID of the installed image that the text names; `ImageNotInstalled` (exit 3) when none does. */
export async function resolveInstalled(
  context: InstalledContext & Pick<ActionContext, 'report'>,
  text: string,
  options: {program: string; poolName?: string | undefined; sources: readonly SourceSettings[]},
): Promise<string> {
  if (options.program === 'imgadm' || isUuid(text)) return text;
  const {source, name} = splitSource(options.sources, text);
  const pool = options.poolName === undefined ? undefined : getPool(context.pools, options.poolName);
  const candidates = (await listInstalled(context, new DamagedRecords(context).note))
    .filter((image) => !pool || image.pool === pool)
    .map(({record}) => ({
      manifest: record.manifest,
      ...(record.source !== undefined && {source: record.source}),
    }))
    .filter((image) => !source || (image.source !== undefined && isNamed(source, image.source)));
  const found = isUuid(name)
    ? candidates.find(({manifest}) => manifest.uuid === name)
    : chooseImage(name, candidates);
  if (found) return found.manifest.uuid;
  throw notInstalled({pools: context.pools, program: options.program}, text, pool);
}
