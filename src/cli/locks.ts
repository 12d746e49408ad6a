/** Named locks of a root as files in its runtime directory; the kernel frees those of processes that died. */

import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import type {HeldLock, LockService} from '../actions/context.ts';
import {errnoOf, ImgctlError} from '../errors.ts';
import {type FileLock, tryLock, waitForLock} from '../sys/lock.ts';

export function lockService(directory: string): LockService {
  const at = async <T>(name: string, lock: (file: string) => T | Promise<T>): Promise<T> => {
    const file = path.join(directory, `${name}.lock`);
    try {
      await mkdir(directory, {recursive: true, mode: 0o755});
      return await lock(file);
    } catch (error) {
      if (error instanceof ImgctlError || errnoOf(error) === undefined) throw error;
      const reason = (error as Error).message;
      throw new ImgctlError('FileSystem', `cannot take lock "${file}": ${reason}`, {cause: error});
    }
  };
  return {
    async acquire(name, options) {
      return held(await at(name, (file) => waitForLock(file, options)));
    },
    async tryAcquire(name) {
      const lock = await at(name, (file) => tryLock(file));
      return lock && held(lock);
    },
  };
}

function held(lock: FileLock): HeldLock {
  return {release: () => lock.release({remove: true})};
}
