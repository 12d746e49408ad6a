/** Core dumps: what a process holds in memory when it crashes, for whoever finds them. */
import {checked, native} from './native.ts';

let isForbidden = false;

/**
 * From here on this process leaves none, and no other process of the user reads its memory (prctl(2), PR_SET_DUMPABLE).
 * For whoever is about to hold a key, a password or a token. Children that are started leave none either.
 */
export function forbidCoreDumps(): void {
  if (isForbidden) return;
  checked(native().forbidCoreDumps(), 'prctl PR_SET_DUMPABLE');
  isForbidden = true;
}
