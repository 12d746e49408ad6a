/** What sources offered when they were last asked. Stored by statements of many rows each. */

import path from 'node:path';
import type {ImageManifest} from '../manifest/manifest.ts';
import {HeldManifests} from './held-manifests.ts';
import type {ImageTitle} from './images.ts';
import {
  countQuery,
  fewRows,
  indexedFilters,
  type OfferQuestion,
  offerQuery,
  offersToDraw,
  partialFilter,
  partialQuery,
} from './offer-query.ts';
import type {Row, Statements} from './statements.ts';
import {drawText, maxDrawnRows, type TextQuestion} from './table-text.ts';
import {type BriefManifest, everything, type WantedRows} from './wanted-rows.ts';

export interface Listing {
  /** Validator for a conditional request; undefined when the source gave none. */
  validator: string | undefined;
  /** RFC 3339 UTC. */
  fetchedAt: string;
}

export interface Offer {
  /** Key of the source: its type and its normalised URL. */
  source: string;
  manifest: ImageManifest;
}

/** An offer with as much of its manifest as was wanted. */
export interface ListedOffer {
  source: string;
  manifest: ImageManifest | BriefManifest;
}

/** The columns of a question for the listed fields; see `offerQuery`. */
type BriefRow = [position: number, uuid: string, ...fields: (string | null)[]];

export class OfferTable {
  readonly #database: Statements;

  constructor(database: Statements) {
    this.#database = database;
  }

  async findListing(source: string): Promise<Listing | undefined> {
    const row = await this.#database.get<{validator: string | null; fetched_at: string}>(
      'SELECT validator, fetched_at FROM listings WHERE source = ?',
      source,
    );
    return row && {validator: row.validator ?? undefined, fetchedAt: row.fetched_at};
  }

  /** What offers of all sources are called, without reading their manifests. */
  titles(): Promise<ImageTitle[]> {
    return this.#database.all<ImageTitle & Row>(
      'SELECT DISTINCT uuid, name, version FROM offers INDEXED BY offers_by_name ORDER BY name, version',
    );
  }

  async find(source: string, uuid: string): Promise<ImageManifest | undefined> {
    const row = await this.#database.get<{manifest: string}>(
      `SELECT manifest FROM offers INDEXED BY offers_by_uuid
       WHERE uuid = ?2 AND listing = (SELECT id FROM listings WHERE source = ?1)`,
      source,
      uuid,
    );
    return row && (this.#database.parse(row.manifest) as ImageManifest);
  }

  /** Holds what comes until `replace` gets it; the caller disposes of it. */
  hold(): HeldManifests {
    const {path: file} = this.#database;
    return new HeldManifests(path.isAbsolute(file) ? path.dirname(file) : undefined);
  }

  /** Replaces all offers of a source. Of equal UUIDs the first counts. */
  async replace(
    source: string,
    manifests: readonly ImageManifest[] | HeldManifests,
    listing: Listing,
  ): Promise<void> {
    const held = manifests instanceof HeldManifests ? manifests : HeldManifests.of(manifests);
    await this.#database.transaction(async () => {
      await this.#database.run('DELETE FROM listings WHERE source = ?', source);
      await this.#database.run(
        'INSERT INTO listings (source, validator, fetched_at) VALUES (?, ?, ?)',
        source,
        listing.validator ?? null,
        listing.fetchedAt,
      );
      let start = 0;
      for (const {text, count} of held.arrays()) {
        await this.#database.run(
          `INSERT OR IGNORE INTO offers
           SELECT (SELECT id FROM listings WHERE source = ?1), ?3 + key, value ->> '$.uuid', value ->> '$.name',
             value ->> '$.version', value ->> '$.os', value ->> '$.type', value ->> '$.published_at', value
           FROM json_each(?2)`,
          source,
          text,
          start,
        );
        start += count;
      }
    });
  }

  /** Drops what is known of sources that are not in the list. */
  async keepOnly(sources: readonly string[]): Promise<void> {
    const known = await this.#database.all<{source: string}>('SELECT source FROM listings');
    if (known.every(({source}) => sources.includes(source))) return;
    await this.#database.transaction(() =>
      this.#database.run(
        'DELETE FROM listings WHERE source NOT IN (SELECT value FROM json_each(?))',
        JSON.stringify(sources),
      ),
    );
  }

  /**
   * All offers of the given sources; an image that several offer comes once, from the source that stands
   * first (spec/imgadm.md §6).
   */
  async list(sources: readonly string[]): Promise<Offer[]> {
    return (await this.listWanted(sources, everything)) as Offer[];
  }

  /** The same, less what is not wanted of them. */
  async listWanted(sources: readonly string[], wanted: WantedRows): Promise<ListedOffer[]> {
    const numbers = await this.#numbers();
    const offers: ListedOffer[] = [];
    const earlier: number[] = [];
    for (const source of sources) {
      const listing = numbers.get(source);
      if (listing === undefined) continue;
      offers.push(...(await this.#listOne(source, {listing, earlier, wanted})));
      earlier.push(listing);
    }
    return offers;
  }

  /** A table of what `listWanted` tells; undefined where it has to be drawn row by row. */
  async draw(sources: readonly string[], question: TextQuestion): Promise<string | undefined> {
    const numbers = await this.#numbers();
    const listings = sources.flatMap((source) => numbers.get(source) ?? []);
    // A few that are looked up are no more than a few lines.
    if (listings.length === 0 || question.filters.some(({operator}) => operator !== '!=')) return undefined;
    const many = await this.#database.get(`SELECT 1 FROM offers LIMIT 1 OFFSET ${maxDrawnRows}`);
    if (!many) return undefined;
    const {sql: select, values} = offersToDraw(listings, question.filters);
    return (await drawText(this.#database, {select, values, tail: ['rank', 'position']}, question))?.text;
  }

  async #numbers(): Promise<Map<string, number>> {
    const listings = await this.#database.all<{id: number; source: string}>(
      'SELECT id, source FROM listings',
    );
    return new Map(listings.map(({source, id}) => [source, id]));
  }

  async #listOne(source: string, question: Omit<OfferQuestion, 'by'>): Promise<ListedOffer[]> {
    const by = await this.#findIndex(question);
    const {sql, values} = offerQuery({...question, by});
    if (!question.wanted.whole) {
      const rows = await this.#database.tuples<BriefRow>(sql, ...values);
      if (by) rows.sort((a, b) => a[0] - b[0]);
      return rows.map((row) => ({source, manifest: briefManifest(row)}));
    }
    const rows = await this.#database.all<{position: number; manifest: string}>(sql, ...values);
    if (by) rows.sort((a, b) => a.position - b.position);
    return rows.map(({manifest}) => ({source, manifest: this.#database.parse(manifest) as ImageManifest}));
  }

  /** The filter that few rows pass, or the numbers of those; undefined when there is none. */
  async #findIndex({listing, wanted}: Omit<OfferQuestion, 'by'>): Promise<OfferQuestion['by']> {
    const {sure, unsure} = indexedFilters(wanted);
    if (sure[0]) return sure[0];
    for (const filter of unsure) {
      const {sql, values} = countQuery(listing, filter);
      const counted = await this.#database.get<{count: number}>(sql, ...values);
      if (counted && counted.count < fewRows) return filter;
    }
    const partial = partialFilter(wanted);
    if (!partial) return undefined;
    const {sql, values} = partialQuery(listing, partial);
    const found = await this.#database.all<{number: number}>(sql, ...values);
    return found.length < fewRows ? found.map(({number}) => number) : undefined;
  }
}

/** In the order of `listedFields`; by places, for there may be ten thousand. */
function briefManifest([, uuid, name, version, os, type, published_at]: BriefRow): BriefManifest {
  return {
    uuid,
    name: name ?? null,
    version: version ?? null,
    os: os ?? null,
    type: type ?? null,
    published_at: published_at ?? null,
  };
}
