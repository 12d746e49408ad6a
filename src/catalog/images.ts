/** Index of the installed images' records. */

import type {ImageManifest} from '../manifest/manifest.ts';
import type {ImageRecord, InstanceRecord} from './records.ts';
import type {Row, Statements} from './statements.ts';
import type {BriefManifest} from './wanted-rows.ts';

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

interface BriefRow extends BriefManifest {
  pool: string;
  localName: string;
  origin: string | null;
  source: string | null;
  ignored: number | null;
  instances: string | null;
}

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
      `SELECT uuid, pool, local_name AS localName, name, version, os, type, published_at, origin, source, ignored, instances
       FROM images INDEXED BY images_listed ORDER BY uuid`,
    );
    // No spreading: there may be ten thousand, and that would take longer than all else.
    return rows.map((row) => ({
      manifest: row,
      pool: row.pool,
      localName: row.localName,
      instances: this.#instancesOf(row.instances),
      source: row.source ?? undefined,
      ignored: row.ignored === 1,
    }));
  }

  #instancesOf(text: string | null): InstanceRecord[] {
    return text === null || text === '[]' ? [] : (this.#database.parse(text) as InstanceRecord[]);
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
