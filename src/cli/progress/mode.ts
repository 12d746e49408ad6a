/** How progress is shown (ux.md §6): as asked, else by what stderr is. */

import {fstatSync} from 'node:fs';
import type {Environment} from '../environment.ts';
import {isAccessible} from '../terminal-style.ts';

export type ProgressMode = 'bar' | 'plain' | 'json' | 'none';

export function chooseMode(
  asked: string | undefined,
  {env, stderr}: Pick<Environment, 'env' | 'stderr'>,
): ProgressMode {
  if (asked === 'json' || asked === 'none') return asked;
  // A log is no screen, whatever was asked for.
  if (asked === 'plain' || isJournal(env, 2)) return 'plain';
  if (asked === 'bar') return asked;
  return stderr.isTTY && env.TERM !== 'dumb' && !isAccessible(env) ? 'bar' : 'plain';
}

/** Whether the descriptor is the stream to the journal that JOURNAL_STREAM names (systemd.exec(5)). */
export function isJournal(env: Environment['env'], fd: number): boolean {
  const [, device, inode] = /^(\d+):(\d+)$/.exec(env.JOURNAL_STREAM ?? '') ?? [];
  if (device === undefined || inode === undefined) return false;
  try {
    const found = fstatSync(fd, {bigint: true});
    return found.dev === BigInt(device) && found.ino === BigInt(inode);
  } catch {
    // A descriptor that is closed is no journal.
    return false;
  }
}
