/**
 * What the sources offer, by way of the catalog: each source is asked with the validator of its last answer, and a new
 * answer replaces what the catalog knows of it in one statement. Offline nobody is asked; the catalog answers.
 */

import type {ListedOffer} from '../catalog/offers.ts';
import type {TextQuestion} from '../catalog/table-text.ts';
import {everything, type WantedRows} from '../catalog/wanted-rows.ts';
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

/** An offer with as much of its manifest as was wanted. */
export interface ListedOfferRow {
  manifest: ListedOffer['manifest'];
  source: string;
}

export interface GatheredOffers<Row = OfferRow> {
  /** In configured order of the sources; an image that several offer comes once. Active images only. */
  rows: Row[];
  /** Of the sources that did not answer. */
  failures: ImgctlError[];
  /** All of it as a table, if one was asked for and it could be drawn; there are no rows then. */
  text?: string | undefined;
}

/** A source as far as it is asked what it offers. */
export type OfferingSource = Pick<VerifiedSource, 'settings' | 'listImages'>;

export type OffersContext = Pick<
  ActionContext,
  'catalog' | 'report' | 'signal' | 'now' | 'offline' | 'program'
> & {
  /** In the order in which they are asked. */
  sources: readonly OfferingSource[];
};

/** Each source may have this many things to say. */
const maxWarnings = 3;

/** A source that fails is warned about when others are left to answer; what it offered before is not shown. */
export async function gatherOffers(context: OffersContext): Promise<GatheredOffers> {
  const {rows, failures} = await gatherWanted(context, everything);
  return {rows: rows as OfferRow[], failures};
}

/** The same, less what is not wanted of them; or the table of them, if possible. */
export async function gatherWanted(
  context: OffersContext,
  wanted: WantedRows,
  question?: TextQuestion | undefined,
): Promise<GatheredOffers<ListedOfferRow>> {
  const {sources, catalog} = context;
  const outcomes = await Promise.allSettled(
    sources.map((source) => (context.offline ? requireListing(context, source) : askSource(context, source))),
  );
  const failures: ImgctlError[] = [];
  const answered = new Map<string, string>();
  const unkept = new Map<string, readonly ImageManifest[]>();
  // SQLite has one writer: answers are stored one after another, however they came in.
  for (const [index, outcome] of outcomes.entries()) {
    const source = sources[index];
    if (!source) continue;
    if (outcome.status === 'rejected') {
      failures.push(noteFailure(context, source, outcome.reason));
      continue;
    }
    const manifests = await outcome.value();
    if (manifests) unkept.set(sourceKey(source), manifests);
    answered.set(sourceKey(source), source.settings.url);
  }
  const text =
    question && unkept.size === 0 ? await catalog.offers.draw([...answered.keys()], question) : undefined;
  if (text !== undefined) return {rows: [], failures, text};
  const offers = await listOffers(catalog, [...answered.keys()], {unkept, wanted});
  const rows = offers.map(({manifest, source}) => ({manifest, source: answered.get(source) ?? source}));
  return {rows, failures};
}

/** Of the sources in their order, an image of several once; from the catalog but for what it could not take. */
async function listOffers(
  catalog: OffersContext['catalog'],
  sources: readonly string[],
  {unkept, wanted}: {unkept: ReadonlyMap<string, readonly ImageManifest[]>; wanted: WantedRows},
): Promise<ListedOffer[]> {
  if (unkept.size === 0) return catalog.offers.listWanted(sources, wanted);
  const offers = new Map<string, ListedOffer>();
  for (const source of sources) {
    const answer = unkept.get(source)?.map((manifest): ListedOffer => ({source, manifest}));
    for (const offer of answer ?? (await catalog.offers.list([source]))) {
      if (!offers.has(offer.manifest.uuid)) offers.set(offer.manifest.uuid, offer);
    }
  }
  return [...offers.values()];
}

/** Drops from the catalog what sources offered that are configured no more. */
export async function forgetOtherSources(context: Pick<OffersContext, 'catalog' | 'sources'>): Promise<void> {
  await context.catalog.offers.keepOnly(context.sources.map(sourceKey));
}

/** The offer as it was last listed; undefined when the source did not list the image. */
export async function findListedOffer(
  context: OffersContext,
  source: OfferingSource,
  uuid: string,
): Promise<ImageManifest | undefined> {
  await requireListing(context, source);
  return context.catalog.offers.find(sourceKey(source), uuid);
}

/** Stores an answer. Resolves with what the catalog had no room for; it is a cache, and the answer is here. */
type Store = () => Promise<readonly ImageManifest[] | undefined>;

/** Asks one source; the function it resolves to stores the answer. */
async function askSource(context: OffersContext, source: OfferingSource): Promise<Store> {
  const {catalog, report, signal} = context;
  const key = sourceKey(source);
  const known = await catalog.offers.findListing(key);
  const held = catalog.offers.hold();
  const ask = source.listImages({
    ...{signal, take: (manifests) => held.add(manifests)},
    ...(known?.validator && {validator: known.validator}),
  });
  const listing = await ask.catch((error: unknown) => {
    held[Symbol.dispose]();
    throw error;
  });
  held.add(listing?.manifests ?? []);
  return async () => {
    using answer = held;
    if (!listing) return undefined;
    for (const warning of listing.warnings.slice(0, maxWarnings)) report.warn(warning);
    const more = listing.warnings.length - maxWarnings;
    if (more > 0) report.warn(`${more} more warnings about source "${source.settings.url}"`);
    const {validator} = listing;
    try {
      await catalog.offers.replace(key, answer, {
        validator,
        fetchedAt: context.now().toISOString(),
      });
      return undefined;
    } catch (error) {
      if (!(error instanceof ImgctlError) || error.code !== 'NoSpace') throw error;
      report.warn(`what "${source.settings.url}" offers is not kept: ${error.message}`);
      return answer.all();
    }
  };
}

/** Says of when the knowledge is; a source that was never asked is a failing one. */
async function requireListing(context: OffersContext, source: OfferingSource): Promise<Store> {
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

function noteFailure(context: OffersContext, source: OfferingSource, error: unknown): ImgctlError {
  if (!(error instanceof ImgctlError) || error.code === 'Interrupted') throw error;
  // imgadm says it in the error line alone.
  if (context.sources.length > 1 && context.program !== 'imgadm')
    context.report.warn(`source "${source.settings.url}" did not answer: ${error.message}`);
  return error;
}

function sourceKey(source: OfferingSource): string {
  return `${source.settings.type} ${normaliseUrl(source.settings.url)}`;
}
