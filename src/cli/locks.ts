/** Named locks of a root as files in its runtime directory; the kernel frees those of processes that died. */

import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import type {LockService} from '../actions/context.ts';
import {waitForLock} from '../sys/lock.ts';

export function lockService(directory: string): LockService {
  return {
    async acquire(name, {signal, onWait}) {
      await mkdir(directory, {recursive: true, mode: 0o755});
      const lock = await waitForLock(path.join(directory, `${name}.lock`), {signal, onWait});
      return {release: () => lock.release({remove: true})};
    },
  };
}
