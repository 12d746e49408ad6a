import {compareStamps, compareVersions} from './order.ts';

/**
 * Sorts the newest image first: by `published_at`, then by version (design.md §7, "newest"). What lacks a field is
 * older than what has it.
 */
export function compareNewest(
  a: Readonly<Record<string, unknown>>,
  b: Readonly<Record<string, unknown>>,
): number {
  const byStamp = compareStamps(textOf(b.published_at), textOf(a.published_at));
  return byStamp || compareVersions(textOf(b.version), textOf(a.version));
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
