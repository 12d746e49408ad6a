/** Index of the installed images' records. */

import type {ImageManifest} from '../manifest/manifest.ts';
import type {ImageRecord, InstanceRecord} from './records.ts';
import type {Row, Statements} from './statements.ts';
import {briefManifest, type ListedField} from './wanted-rows.ts';

export interface ImageTitle {
  uuid: string;
  name: string;
  version: string;
}

/** What lists show of a record; of the manifest the listed fields and the origin. */
export type BriefRecord = Pick<ImageRecord, 'pool' | 'localName' | 'instances' | 'source' | 'ignored'> & {
  manifest: Partial<ImageManifest> & Pick<ImageManifest, 'uuid'>;
};

type BriefRow = Record<ListedField, string | null> & {
  pool: string;
  local_name: string;
  origin: string | null;
  source: string | null;
  ignored: number | null;
  instances: string | null;
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

  /** All of them as lists show them, without reading their records. */
  async listBrief(): Promise<BriefRecord[]> {
    const rows = await this.#database.all<BriefRow>(
      `SELECT uuid, pool, local_name, name, version, os, type, published_at, origin, source, ignored, instances
       FROM images INDEXED BY images_listed ORDER BY uuid`,
    );
    return rows.map((row) => ({
      manifest: {...briefManifest(row), ...(row.origin !== null && {origin: row.origin})},
      pool: row.pool,
      localName: row.local_name,
      instances: row.instances === null ? [] : (this.#database.parse(row.instances) as InstanceRecord[]),
      ...(row.source !== null && {source: row.source}),
      ...(row.ignored !== null && {ignored: row.ignored !== 0}),
    }));
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
