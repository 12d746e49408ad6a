/** What sources offered when they were last asked. One bulk statement per refresh, whatever the size. */

import type {ImageManifest} from '../manifest/manifest.ts';
import type {ImageTitle} from './images.ts';
import type {Row, Statements} from './statements.ts';

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
      'SELECT DISTINCT uuid, name, version FROM offers ORDER BY name, version',
    );
  }

  async find(source: string, uuid: string): Promise<ImageManifest | undefined> {
    const row = await this.#database.get<{manifest: string}>(
      'SELECT manifest FROM offers WHERE source = ? AND uuid = ?',
      source,
      uuid,
    );
    return row && (this.#database.parse(row.manifest) as ImageManifest);
  }

  /** Replaces all offers of a source. Of equal UUIDs the first counts. */
  async replace(source: string, manifests: readonly ImageManifest[], listing: Listing): Promise<void> {
    await this.#database.transaction(async () => {
      await this.#database.run('DELETE FROM offers WHERE source = ?', source);
      await this.#database.run(
        'INSERT OR REPLACE INTO listings (source, validator, fetched_at) VALUES (?, ?, ?)',
        source,
        listing.validator ?? null,
        listing.fetchedAt,
      );
      await this.#database.run(
        `INSERT OR IGNORE INTO offers (source, position, uuid, manifest)
         SELECT ?1, key, json_extract(value, '$.uuid'), value FROM json_each(?2)`,
        source,
        JSON.stringify(manifests),
      );
    });
  }

  /** Drops what is known of sources that are not in the list. */
  async keepOnly(sources: readonly string[]): Promise<void> {
    const stale = await this.#database.get(
      'SELECT 1 FROM listings WHERE source NOT IN (SELECT value FROM json_each(?)) LIMIT 1',
      JSON.stringify(sources),
    );
    if (!stale) return;
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
    const rows = await this.#database.all<{source: string; manifest: string}>(
      `SELECT source, manifest FROM (
         SELECT offers.source, offers.manifest, wanted.key AS rank, offers.position,
                row_number() OVER (PARTITION BY offers.uuid ORDER BY wanted.key) AS copy
         FROM json_each(?) AS wanted JOIN offers ON offers.source = wanted.value)
       WHERE copy = 1 ORDER BY rank, position`,
      JSON.stringify(sources),
    );
    return rows.map((row) => ({
      source: row.source,
      manifest: this.#database.parse(row.manifest) as ImageManifest,
    }));
  }
}
