/** Which fields of a manifest differ between two states of it, in the words of imgadm's `update`. */

import {isDeepStrictEqual} from 'node:util';

type Fields = Readonly<Record<string, unknown>>;

/**
 * Names of the fields that differ: those of the new manifest in its order, then those that only the old one has. `requirements`
 * is compared key by key when both have it (spec/imgadm.md §8).
 */
export function changedFields(before: Fields, after: Fields): string[] {
  return differing(before, after).flatMap((name) => {
    const [old, now] = [before[name], after[name]];
    if (name !== 'requirements' || !isObject(old) || !isObject(now)) return [name];
    return differing(old, now).map((key) => `${name}.${key}`);
  });
}

function differing(before: Fields, after: Fields): string[] {
  const changed = Object.keys(after).filter((name) => !isDeepStrictEqual(before[name], after[name]));
  const gone = Object.keys(before).filter(
    (name) => before[name] !== undefined && !Object.hasOwn(after, name),
  );
  return [...changed, ...gone];
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
