/**
 * The catalog: a cache of truth, not the truth (design.md §4). It indexes the records of installed images and the
 * offers of the sources; deleting the file loses nothing. SQL stays in this room.
 */

import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import {ImgctlError} from '../errors.ts';
import {Database} from './database.ts';
import {ImageTable} from './images.ts';
import {migrate} from './migrate.ts';
import {OfferTable} from './offers.ts';

export interface Catalog {
  readonly offers: OfferTable;
  readonly images: ImageTable;
  close(): Promise<void>;
}

/** Opens the catalog, making and upgrading it as needed. The caller closes it. */
export async function openCatalog(file: string, migrationsDirectory: string): Promise<Catalog> {
  try {
    await mkdir(path.dirname(file), {recursive: true, mode: 0o755});
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ImgctlError('FileSystem', `cannot make the directory of catalog "${file}": ${reason}`, {
      cause: error,
    });
  }
  const database = await Database.open(file);
  try {
    await migrate(database, migrationsDirectory);
  } catch (error) {
    await database.close();
    throw error;
  }
  return {
    offers: new OfferTable(database),
    images: new ImageTable(database),
    close: () => database.close(),
  };
}
