/** Named locks of a root as files in its runtime directory; the kernel frees those of processes that died. */

import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import type {HeldLock, LockService} from '../actions/context.ts';
import {type FileLock, tryLock, waitForLock} from '../sys/lock.ts';

export function lockService(directory: string): LockService {
  const place = async (name: string): Promise<string> => {
    await mkdir(directory, {recursive: true, mode: 0o755});
    return path.join(directory, `${name}.lock`);
  };
  return {
    async acquire(name, options) {
      return held(await waitForLock(await place(name), options));
    },
    async tryAcquire(name) {
      const lock = tryLock(await place(name));
      return lock && held(lock);
    },
  };
}

function held(lock: FileLock): HeldLock {
  return {release: () => lock.release({remove: true})};
}
