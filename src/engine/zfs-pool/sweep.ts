/** Clears away what killed processes of this root left in a pool: half-received datasets, and snapshots that were sent. */
import {mkdirSync} from 'node:fs';
import path from 'node:path';
import {ImgctlError} from '../../errors.ts';
import {type FileLock, tryLock} from '../../sys/lock.ts';
import type {TemporaryNames} from './dataset-names.ts';
import {columnsOf, runZfs} from './run-zfs.ts';

/** Locks of temporary names, one file each, which a process holds while the name is its own. */
export class NameLocks {
  readonly #directory: string;

  constructor(runtimeDirectory: string) {
    this.#directory = path.join(runtimeDirectory, 'zfs');
  }

  take(name: string): FileLock | undefined {
    mkdirSync(this.#directory, {recursive: true, mode: 0o700});
    return tryLock(path.join(this.#directory, `${name}.lock`));
  }
}

export async function sweepPool(dataset: string, names: TemporaryNames, locks: NameLocks): Promise<void> {
  const attempted = `Listing the datasets in "${dataset}"`;
  const list = ['list', '-H', '-r', '-d', '2', '-t', 'filesystem,volume,snapshot', '-o', 'name', dataset];
  const found = columnsOf(await runZfs(list, attempted)).map(([name = '']) => name);
  for (const full of found) {
    const name = full.slice(Math.max(full.lastIndexOf('/'), full.lastIndexOf('@')) + 1);
    if (!names.isOurs(name)) continue;
    const lock = locks.take(name);
    if (!lock) continue;
    try {
      await removeTemporary(full);
    } finally {
      lock.release({remove: true});
    }
  }
}

/** A dataset with its snapshots, or a snapshot. What is busy or gone is left to the next sweep. */
export async function removeTemporary(full: string): Promise<void> {
  try {
    await runZfs(['destroy', '-r', full], `Removing "${full}"`);
  } catch (error) {
    if (!(error instanceof ImgctlError)) throw error;
    const isGone = /does not exist|could not find/i.test(String(error.details?.stderr));
    if (!isGone && error.code !== 'ImageInUse') throw error;
  }
}
