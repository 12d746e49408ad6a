/**
 * `avail`: what the sources offer (spec/imgadm.md §6). All are asked at once, each with the validator of its last
 * answer; the answers replace what the catalog knows of that source in one statement.
 */

import {ImgctlError, MultiError} from '../errors.ts';
import {normaliseUrl} from '../imgapi/source-url.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import type {VerifiedSource} from '../sources/source.ts';
import type {ActionContext} from './context.ts';
import {requireSources} from './find-offered.ts';

export interface AvailRow {
  manifest: ImageManifest;
  /** URL as the user typed it. */
  source: string;
}

export interface AvailResult {
  rows: AvailRow[];
  /** Why the answer is not complete; thrown by the command after the rows were printed. */
  failure: ImgctlError | undefined;
}

/** Rows in configured order of the sources; an image that several offer comes once. Active images only. */
export async function listAvailable(context: ActionContext): Promise<AvailResult> {
  requireSources(context);
  const keyed = context.sources.map((source) => ({source, key: sourceKey(source)}));
  await context.catalog.offers.keepOnly(keyed.map(({key}) => key));
  const outcomes = await Promise.allSettled(keyed.map(({source}) => askSource(context, source)));
  const failures: ImgctlError[] = [];
  const answered: typeof keyed = [];
  // SQLite has one writer: answers are stored one after another, however they came in.
  for (const [index, outcome] of outcomes.entries()) {
    const entry = keyed[index];
    if (!entry) continue;
    if (outcome.status === 'rejected') {
      if (!(outcome.reason instanceof ImgctlError) || outcome.reason.code === 'Interrupted')
        throw outcome.reason;
      failures.push(outcome.reason);
      continue;
    }
    await outcome.value();
    answered.push(entry);
  }
  const offers = await context.catalog.offers.list(answered.map(({key}) => key));
  const urlByKey = new Map(answered.map(({source, key}) => [key, source.settings.url]));
  const rows = offers.map((offer) => ({
    manifest: offer.manifest,
    source: urlByKey.get(offer.source) ?? offer.source,
  }));
  return {rows, failure: failures.length > 1 ? new MultiError(failures) : failures[0]};
}

/** Asks one source; the function it resolves to stores the answer. */
async function askSource(context: ActionContext, source: VerifiedSource): Promise<() => Promise<void>> {
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

/** Each source may have this many things to say. */
const maxWarnings = 3;

function sourceKey(source: VerifiedSource): string {
  return `${source.settings.type} ${normaliseUrl(source.settings.url)}`;
}
