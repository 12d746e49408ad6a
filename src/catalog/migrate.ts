/**
 * Brings a catalog to the newest schema. Files `NNNN-name.sql` run in order, all in one transaction, and are
 * recorded by name; a recorded one that is missing or out of order is an error, and so is a catalog made by a
 * newer imgctl.
 */

import {readdir, readFile} from 'node:fs/promises';
import path from 'node:path';
import {ImgctlError} from '../errors.ts';
import type {Database} from './database.ts';

export async function migrate(database: Database, directory: string): Promise<void> {
  const known = (await readdir(directory)).filter((name) => /^\d{4}-.*\.sql$/.test(name)).sort();
  if ((await appliedNames(database, known)).length === known.length) return;
  await database.transaction(async () => {
    await database.exec(
      'CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL)',
    );
    // Another process may have been faster.
    const applied = await appliedNames(database, known);
    for (const name of known.slice(applied.length)) {
      await database.exec(await readFile(path.join(directory, name), 'utf8'));
      await database.run("INSERT INTO migrations VALUES (?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))", name);
    }
    await database.exec(`PRAGMA user_version = ${known.length}`);
  });
}

/** What the catalog has seen, in order; it must be how the known ones begin. */
async function appliedNames(database: Database, known: readonly string[]): Promise<string[]> {
  const version = await database.get<{user_version: number}>('PRAGMA user_version');
  if (!version?.user_version) return [];
  const rows = await database.all<{name: string}>('SELECT name FROM migrations ORDER BY name');
  const applied = rows.map((row) => row.name);
  const wrong = applied.find((name, index) => known[index] !== name);
  if (wrong === undefined) return applied;
  throw new ImgctlError(
    'UpgradeError',
    `catalog "${database.path}" has the migration "${wrong}", which this imgctl does not know`,
    {hint: 'use the imgctl that made it, or a newer one'},
  );
}
