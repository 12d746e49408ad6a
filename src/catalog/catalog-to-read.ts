/**
 * The catalog for who will most likely only read: as long as nothing is written, statements go to the SQLite that is part
 * of Node, which answers at once and loads no package (a fifth of an empty start less). The first that writes, and
 * whatever the reader cannot do or does not know (a file that is missing, damaged or of another schema), is left to the
 * catalog itself; so are all words for what goes wrong. Never are both open at once: closing one would drop the locks of
 * the other.
 */

import {readdirSync} from 'node:fs';
import type {DatabaseSync} from 'node:sqlite';
import type {Catalog, OpenedCatalog} from './catalog.ts';
import {parseColumn} from './damage.ts';
import {ImageTable} from './images.ts';
import {OfferTable} from './offers.ts';
import type {Row, SqlValue, Statements} from './statements.ts';

const busyTimeoutMs = 5000;

/** `openFull` is called at most once. */
export async function openCatalogToRead(
  file: string,
  migrationsDirectory: string,
  openFull: () => Promise<OpenedCatalog>,
): Promise<Catalog> {
  const reader = openReader(file, migrationsDirectory);
  if (!reader) return openFull();
  const statements = new ReadFirst(file, reader, openFull);
  return {
    offers: new OfferTable(statements),
    images: new ImageTable(statements),
    check: async () => (await statements.full()).check(),
    close: () => statements.close(),
  };
}

/** Undefined where there is none to be had, or the schema is not exactly the one of the migrations. */
function openReader(file: string, migrationsDirectory: string): DatabaseSync | undefined {
  let reader: DatabaseSync | undefined;
  try {
    const {DatabaseSync: Connection} = process.getBuiltinModule('node:sqlite');
    // Not made if it is missing. Not opened read-only: that leaves the files of the write-ahead log behind.
    const address = new URL(`file:${file.split('/').map(encodeURIComponent).join('/')}?mode=rw`);
    reader = new Connection(address, {timeout: busyTimeoutMs});
    // Else what is sorted goes by way of a file, from a few thousand rows on.
    reader.exec('PRAGMA temp_store = MEMORY');
    const known = readdirSync(migrationsDirectory)
      .filter((name) => /^\d{4}-.*\.sql$/.test(name))
      .sort();
    const applied = reader.prepare('SELECT name FROM migrations ORDER BY name').all();
    if (applied.length === known.length && applied.every(({name}, index) => name === known[index]))
      return reader;
  } catch {
    // The catalog itself says what is wrong, if anything is.
  }
  reader?.close();
  return undefined;
}

class ReadFirst implements Statements {
  readonly path: string;
  readonly #openFull: () => Promise<OpenedCatalog>;
  #reader: DatabaseSync | undefined;
  #full: Promise<OpenedCatalog> | undefined;

  constructor(path: string, reader: DatabaseSync, openFull: () => Promise<OpenedCatalog>) {
    this.path = path;
    this.#reader = reader;
    this.#openFull = openFull;
  }

  full(): Promise<OpenedCatalog> {
    this.#reader?.close();
    this.#reader = undefined;
    this.#full ??= this.#openFull();
    return this.#full;
  }

  async all<T = Row>(sql: string, ...values: SqlValue[]): Promise<T[]> {
    try {
      if (this.#reader) return this.#reader.prepare(sql).all(...values) as T[];
    } catch {
      // As with opening: what it is, the catalog itself says.
    }
    return (await this.full()).statements.all<T>(sql, ...values);
  }

  async tuples<T extends SqlValue[]>(sql: string, ...values: SqlValue[]): Promise<T[]> {
    try {
      const statement = this.#reader?.prepare(sql);
      statement?.setReturnArrays(true);
      if (statement) return statement.all(...values) as unknown as T[];
    } catch {
      // As above.
    }
    return (await this.full()).statements.tuples<T>(sql, ...values);
  }

  async get<T = Row>(sql: string, ...values: SqlValue[]): Promise<T | undefined> {
    return (await this.all<T>(sql, ...values))[0];
  }

  async run(sql: string, ...values: SqlValue[]): Promise<void> {
    await (await this.full()).statements.run(sql, ...values);
  }

  async transaction<T>(work: () => Promise<T>): Promise<T> {
    return (await this.full()).statements.transaction(work);
  }

  parse(text: string): unknown {
    return parseColumn(this.path, text);
  }

  async close(): Promise<void> {
    this.#reader?.close();
    this.#reader = undefined;
    await this.#full?.then((catalog) => catalog.close());
  }
}
