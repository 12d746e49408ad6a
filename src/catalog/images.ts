/** Index of the installed images' records. */

import type {ImageManifest} from '../manifest/manifest.ts';
import type {ImageRecord, InstanceRecord} from './records.ts';
import type {Row, Statements} from './statements.ts';
import {drawText, maxDrawnRows, type TextQuestion} from './table-text.ts';
import {type BriefManifest, rowCondition} from './wanted-rows.ts';

export interface ImageTitle {
  uuid: string;
  name: string;
  version: string;
}

/** What lists show of a record; of the manifest the listed fields and the origin. */
export interface BriefRecord extends Pick<ImageRecord, 'pool' | 'localName' | 'instances'> {
  manifest: ImageManifest | (BriefManifest & {origin: string | null});
  source?: string | undefined;
  ignored?: boolean;
}

type Text = string | null;

/** The columns of `listBrief`, in their order; a local name that is the UUID is null. */
type BriefRow = [
  ...[uuid: string, pool: string, localName: Text, name: Text, version: Text, os: Text, type: Text],
  ...[published_at: Text, origin: Text, source: Text, ignored: number | null, instances: Text],
];

/** Of nearly all images. */
const none: InstanceRecord[] = [];

/** A table of images, and what must hold for it to be true; names are joined by slashes, which none has. */
export interface ImagesText {
  text: string;
  /** Of all images, those that are not in the table among them. */
  uuids: string;
  localNames: ReadonlyMap<string, string>;
}

/** What `draw` asks of the same moment. Nearly always there is one pool, and its images are called by their UUIDs: null. */
const beside = {
  uuids: "SELECT group_concat(uuid, '/') FROM images",
  pools: `SELECT CASE WHEN min(pool) = max(pool) AND min(local_name = uuid) THEN json_object(min(pool), NULL) ELSE
    (SELECT json_group_object(pool, names)
     FROM (SELECT pool, group_concat(local_name, '/') AS names FROM images GROUP BY pool)) END FROM images`,
};

export class ImageTable {
  readonly #database: Statements;

  constructor(database: Statements) {
    this.#database = database;
  }

  async put(record: ImageRecord): Promise<void> {
    await this.#database.transaction(() =>
      this.#database.run(
        `INSERT OR REPLACE INTO images
         SELECT value ->> '$.manifest.uuid', value ->> '$.pool', value ->> '$.localName', value ->> '$.manifest.name',
           value ->> '$.manifest.version', value ->> '$.manifest.os', value ->> '$.manifest.type',
           value ->> '$.manifest.published_at', value ->> '$.manifest.origin', value ->> '$.source',
           value ->> '$.ignored', value ->> '$.instances', value
         FROM json_each(?)`,
        JSON.stringify([record]),
      ),
    );
  }

  async remove(uuid: string): Promise<void> {
    await this.#database.transaction(() => this.#database.run('DELETE FROM images WHERE uuid = ?', uuid));
  }

  /** All of them as lists show them, without reading their records; in the order of dates or of UUIDs. */
  async listBrief({byDate}: {byDate: boolean} = {byDate: false}): Promise<BriefRecord[]> {
    const rows = await this.#database.tuples<BriefRow>(
      `SELECT uuid, pool, nullif(local_name, uuid), name, version, os, type, published_at, origin, source, ignored, instances
       FROM images INDEXED BY ${byDate ? 'images_by_date ORDER BY published_at, uuid' : 'images_listed ORDER BY uuid'}`,
    );
    // By places and not by a rest: there may be ten thousand, and that would take longer than all else.
    return rows.map((row) => ({
      manifest: {
        uuid: row[0],
        name: row[3],
        version: row[4],
        os: row[5],
        type: row[6],
        published_at: row[7],
        origin: row[8],
      },
      pool: row[1],
      localName: row[2] ?? row[0],
      instances: this.#instancesOf(row[11]),
      source: row[9] ?? undefined,
      ignored: row[10] === 1,
    }));
  }

  /** Those that are not ignored; undefined where they have to be drawn row by row. */
  async draw(question: TextQuestion): Promise<ImagesText | undefined> {
    const {filters} = question;
    // Asked first: it is known at once, and all else is in vain where there are few.
    const many = await this.#database.get(`SELECT 1 FROM images LIMIT 1 OFFSET ${maxDrawnRows}`);
    if (!many) return undefined;
    const conditions = ['ignored IS NOT 1', ...filters.map(rowCondition)];
    const select = `SELECT uuid, name, version, os, type, published_at
      FROM images INDEXED BY images_by_date WHERE ${conditions.join(' AND ')}`;
    const values = filters.map(({operand}) => operand);
    const rows = {select, values, tail: ['uuid'], beside};
    const drawn = await drawText<keyof typeof beside>(this.#database, rows, question);
    if (!drawn) return undefined;
    const uuids = String(drawn.uuids);
    const pools = this.#database.parse(String(drawn.pools)) as Record<string, string | null>;
    const localNames = Object.entries(pools).map(([pool, names]) => [pool, names ?? uuids] as const);
    return {text: drawn.text, uuids, localNames: new Map(localNames)};
  }

  #instancesOf(text: string | null): InstanceRecord[] {
    return text === null || text === '[]' ? none : (this.#database.parse(text) as InstanceRecord[]);
  }

  async list(): Promise<ImageRecord[]> {
    const rows = await this.#database.all<{record: string}>('SELECT record FROM images ORDER BY uuid');
    return rows.map((row) => this.#database.parse(row.record) as ImageRecord);
  }

  /** What images are called, without reading their records. */
  titles(): Promise<ImageTitle[]> {
    return this.#database.all<ImageTitle & Row>(
      'SELECT uuid, name, version FROM images INDEXED BY images_by_name ORDER BY name, version',
    );
  }

  async find(uuid: string): Promise<ImageRecord | undefined> {
    const row = await this.#database.get<{record: string}>('SELECT record FROM images WHERE uuid = ?', uuid);
    return row && (this.#database.parse(row.record) as ImageRecord);
  }
}
