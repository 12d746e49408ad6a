/** `quarantine`: downloads that failed their verification, looked at and removed by hand. */

import type {Quarantine, QuarantinedFile} from '../downloads/quarantine.ts';
import {ImgctlError} from '../errors.ts';

export interface QuarantineResult {
  action: 'listed' | 'deleted';
  /** Whether anything was removed. */
  changed: boolean;
  /** What is there, the newest first; what was removed. */
  files: QuarantinedFile[];
  dryRun?: true;
}

/** Words of the command line: nothing or `list`, `show ID`, `delete ID...`, `clear`. */
export async function useQuarantine(
  quarantine: Quarantine,
  [verb = 'list', ...ids]: readonly string[],
  {isDryRun = false} = {},
): Promise<QuarantineResult> {
  switch (verb) {
    case 'list':
      refuseMore(ids);
      return {action: 'listed', changed: false, files: await quarantine.list()};
    case 'show':
      if (ids.length > 1) refuseMore(ids.slice(1));
      return {action: 'listed', changed: false, files: [await quarantine.get(required(verb, ids))]};
    case 'delete': {
      required(verb, ids);
      // All are looked for before one is removed.
      return removed(quarantine, await Promise.all(ids.map((id) => quarantine.get(id))), isDryRun);
    }
    case 'clear':
      refuseMore(ids);
      return removed(quarantine, await quarantine.list(), isDryRun);
    default:
      throw new ImgctlError('Usage', `unknown word: "${verb}" (list, show, delete or clear)`);
  }
}

async function removed(
  quarantine: Quarantine,
  files: QuarantinedFile[],
  isDryRun: boolean,
): Promise<QuarantineResult> {
  if (isDryRun) return {action: 'deleted', changed: false, files, dryRun: true};
  for (const file of files) await quarantine.remove(file);
  return {action: 'deleted', changed: files.length > 0, files};
}

function required(verb: string, [id]: readonly string[]): string {
  if (id !== undefined) return id;
  throw new ImgctlError('Usage', `missing argument: ID of "${verb}"`);
}

function refuseMore(words: readonly string[]): void {
  if (words.length > 0) throw new ImgctlError('Usage', `unexpected args: ${words.join(' ')}`);
}
