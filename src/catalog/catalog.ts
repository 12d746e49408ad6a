/**
 * The catalog: a cache of truth, not the truth (design.md §4). It indexes the records of installed images and the
 * offers of the sources; deleting the file loses nothing. SQL stays in this room.
 */

import {mkdir, rename, rm} from 'node:fs/promises';
import path from 'node:path';
import {errnoOf, ImgctlError} from '../errors.ts';
import {Database} from './database.ts';
import {ImageTable} from './images.ts';
import {migrate} from './migrate.ts';
import {OfferTable} from './offers.ts';
import type {Statements} from './statements.ts';

export interface Catalog {
  readonly offers: OfferTable;
  readonly images: ImageTable;
  /** Reads all of the file; `CatalogCorrupt` when it is damaged. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** With what its tables are read and written by. */
export interface OpenedCatalog extends Catalog {
  readonly statements: Statements;
}

/** Opens the catalog, making and upgrading it as needed. The caller closes it. */
export async function openCatalog(file: string, migrationsDirectory: string): Promise<OpenedCatalog> {
  try {
    await mkdir(path.dirname(file), {recursive: true, mode: 0o755});
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ImgctlError('FileSystem', `cannot make the directory of catalog "${file}": ${reason}`, {
      cause: error,
    });
  }
  return openDatabase(file, migrationsDirectory);
}

/** A catalog that nobody else sees and that is gone when it is closed. */
export function openCatalogInMemory(migrationsDirectory: string): Promise<OpenedCatalog> {
  return openDatabase(':memory:', migrationsDirectory);
}

async function openDatabase(file: string, migrationsDirectory: string): Promise<OpenedCatalog> {
  const database = await Database.open(file);
  try {
    await migrate(database, migrationsDirectory);
  } catch (error) {
    await database.close();
    throw error;
  }
  return {
    statements: database,
    offers: new OfferTable(database),
    images: new ImageTable(database),
    check: () => database.check(),
    close: () => database.close(),
  };
}

/** Moves a damaged catalog to `FILE.damaged`, so that the next opening makes a new one. It must be closed. */
export async function moveCatalogAway(file: string): Promise<void> {
  try {
    await rename(file, `${file}.damaged`);
    // The log of the old file must not be applied to a new one.
    for (const suffix of ['-wal', '-shm']) await rm(`${file}${suffix}`, {force: true});
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    const reason = error instanceof Error ? error.message : String(error);
    throw new ImgctlError('FileSystem', `cannot move catalog "${file}" away: ${reason}`, {cause: error});
  }
}
