import {refusals} from './refusals.ts';

/** The protocol versions offered; they differ in the `channels` field only (spec/imgapi.md §1). */
export type ApiVersion = 1 | 2;

/** The newest version an `Accept-Version` range allows; without one, version 1. `request` is for the refusal. */
export function chooseApiVersion(range: string | undefined, request: string): ApiVersion {
  if (range === undefined) return 1;
  if (range === '*' || /^>=\s*v?[012](\.0){0,2}$/.test(range)) return 2;
  const [, major] = /^[~^=v]?([12])(?:\.[0x]){0,2}$/.exec(range) ?? [];
  if (major === undefined) throw refusals.invalidVersion(range, request);
  return major === '1' ? 1 : 2;
}
