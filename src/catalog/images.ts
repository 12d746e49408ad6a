/** Index of the installed images' records. */

import type {ImageRecord} from './records.ts';
import type {Row, Statements} from './statements.ts';

export interface ImageTitle {
  uuid: string;
  name: string;
  version: string;
}

export class ImageTable {
  readonly #database: Statements;

  constructor(database: Statements) {
    this.#database = database;
  }

  async put(record: ImageRecord): Promise<void> {
    await this.#database.transaction(() =>
      this.#database.run(
        'INSERT OR REPLACE INTO images (uuid, pool, local_name, record) VALUES (?, ?, ?, ?)',
        record.manifest.uuid,
        record.pool,
        record.localName,
        JSON.stringify(record),
      ),
    );
  }

  async remove(uuid: string): Promise<void> {
    await this.#database.transaction(() => this.#database.run('DELETE FROM images WHERE uuid = ?', uuid));
  }

  async list(): Promise<ImageRecord[]> {
    const rows = await this.#database.all<{record: string}>('SELECT record FROM images ORDER BY uuid');
    return rows.map((row) => this.#database.parse(row.record) as ImageRecord);
  }

  /** What images are called, without reading their records. */
  titles(): Promise<ImageTitle[]> {
    return this.#database.all<ImageTitle & Row>(
      'SELECT uuid, name, version FROM images ORDER BY name, version',
    );
  }

  async find(uuid: string): Promise<ImageRecord | undefined> {
    const row = await this.#database.get<{record: string}>('SELECT record FROM images WHERE uuid = ?', uuid);
    return row && (this.#database.parse(row.record) as ImageRecord);
  }
}
