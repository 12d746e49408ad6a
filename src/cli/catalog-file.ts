/**
 * The catalog of a command. It is a cache (design.md §4), so a command does not fail because the file cannot be made
 * or written: on a full or read-only disk an operator must still be able to list and delete.
 */

import {statfs} from 'node:fs/promises';
import path from 'node:path';
import {type OpenedCatalog, openCatalog, openCatalogInMemory} from '../catalog/catalog.ts';
import {ImgctlError} from '../errors.ts';

/** The catalog of the file, or one in memory, which `warn` is told of. A damaged one is an error. */
export async function openCatalogOrStandIn(
  file: string,
  migrationsDirectory: string,
  warn: (text: string) => void,
): Promise<OpenedCatalog> {
  try {
    return await openCatalog(file, migrationsDirectory);
  } catch (error) {
    if (!(error instanceof ImgctlError) || !['FileSystem', 'NoSpace'].includes(error.code)) throw error;
    const reason = error.cause instanceof Error ? error.cause.message : error.message;
    const isFull = await isDiskFull(path.dirname(file));
    warn(`going on without catalog "${file}": ${isFull ? 'the disk is full' : reason}`);
    return openCatalogInMemory(migrationsDirectory);
  }
}

async function isDiskFull(directory: string): Promise<boolean> {
  return statfs(directory).then(
    ({bavail, ffree, files}) => bavail === 0 || (files > 0 && ffree === 0),
    () => false,
  );
}
