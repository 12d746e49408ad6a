/**
 * What the sources offer, by way of the catalog: each source is asked with the validator of its last answer, and a new
 * answer replaces what the catalog knows of it in one statement. Offline nobody is asked; the catalog answers.
 */

import {ImgctlError, MultiError} from '../errors.ts';
import {normaliseUrl} from '../imgapi/source-url.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import type {VerifiedSource} from '../sources/source.ts';
import type {ActionContext} from './context.ts';

export interface OfferRow {
  manifest: ImageManifest;
  /** URL as the user typed it. */
  source: string;
}

export interface GatheredOffers {
  /** In configured order of the sources; an image that several offer comes once. Active images only. */
  rows: OfferRow[];
  /** Of the sources that did not answer. */
  failures: ImgctlError[];
}

export type OffersContext = Pick<
  ActionContext,
  'catalog' | 'sources' | 'report' | 'signal' | 'now' | 'offline' | 'program'
>;

/** Each source may have this many things to say. */
const maxWarnings = 3;

/** A source that fails is warned about when others are left to answer; what it offered before is not shown. */
export async function gatherOffers(context: OffersContext): Promise<GatheredOffers> {
  const {sources, catalog} = context;
  const outcomes = await Promise.allSettled(
    sources.map((source) => (context.offline ? requireListing(context, source) : askSource(context, source))),
  );
  const failures: ImgctlError[] = [];
  const answered = new Map<string, string>();
  // SQLite has one writer: answers are stored one after another, however they came in.
  for (const [index, outcome] of outcomes.entries()) {
    const source = sources[index];
    if (!source) continue;
    if (outcome.status === 'rejected') {
      failures.push(noteFailure(context, source, outcome.reason));
      continue;
    }
    await outcome.value();
    answered.set(sourceKey(source), source.settings.url);
  }
  const offers = await catalog.offers.list([...answered.keys()]);
  const rows = offers.map(({manifest, source}) => ({manifest, source: answered.get(source) ?? source}));
  return {rows, failures};
}

/** Drops from the catalog what sources offered that are configured no more. */
export async function forgetOtherSources(context: Pick<ActionContext, 'catalog' | 'sources'>): Promise<void> {
  await context.catalog.offers.keepOnly(context.sources.map(sourceKey));
}

/** The offer as it was last listed; undefined when the source did not list the image. */
export async function findListedOffer(
  context: OffersContext,
  source: VerifiedSource,
  uuid: string,
): Promise<ImageManifest | undefined> {
  await requireListing(context, source);
  return context.catalog.offers.find(sourceKey(source), uuid);
}

/** Asks one source; the function it resolves to stores the answer. */
async function askSource(context: OffersContext, source: VerifiedSource): Promise<() => Promise<void>> {
  const {catalog, report, signal} = context;
  const key = sourceKey(source);
  const known = await catalog.offers.findListing(key);
  const listing = await source.listImages({signal, ...(known?.validator && {validator: known.validator})});
  return async () => {
    if (!listing) return;
    for (const warning of listing.warnings.slice(0, maxWarnings)) report.warn(warning);
    const more = listing.warnings.length - maxWarnings;
    if (more > 0) report.warn(`${more} more warnings about source "${source.settings.url}"`);
    await catalog.offers.replace(key, listing.manifests, {
      validator: listing.validator,
      fetchedAt: context.now().toISOString(),
    });
  };
}

/** Says of when the knowledge is; a source that was never asked is a failing one. */
async function requireListing(context: OffersContext, source: VerifiedSource): Promise<() => Promise<void>> {
  const {url} = source.settings;
  const listing = await context.catalog.offers.findListing(sourceKey(source));
  if (!listing) {
    throw new ImgctlError(
      'ClientError',
      `${url}: nothing is known of this source, and offline it is not asked`,
      {
        hint: `with the network: ${context.program} avail`,
      },
    );
  }
  context.report.warn(`offline: what "${url}" offers is as of ${listing.fetchedAt}`);
  return async () => undefined;
}

/** Several failures as one; undefined for none. */
export function asOne(failures: readonly ImgctlError[]): ImgctlError | undefined {
  return failures.length > 1 ? new MultiError(failures) : failures[0];
}

function noteFailure(context: OffersContext, source: VerifiedSource, error: unknown): ImgctlError {
  if (!(error instanceof ImgctlError) || error.code === 'Interrupted') throw error;
  // imgadm says it in the error line alone.
  if (context.sources.length > 1 && context.program !== 'imgadm')
    context.report.warn(`source "${source.settings.url}" did not answer: ${error.message}`);
  return error;
}

function sourceKey(source: VerifiedSource): string {
  return `${source.settings.type} ${normaliseUrl(source.settings.url)}`;
}
