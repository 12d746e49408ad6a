/** Durations as people read and write them (ux.md §4.2). */

import {ImgctlError} from '../errors.ts';

/** `3m12s`, `45s`, `1h05m`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, '0')}s`;
  return `${Math.floor(whole / 3600)}h${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')}m`;
}

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Node's timers fire at once when they are set for longer. */
const longestMs = 2 ** 31 - 1;

/** `90s`, `5m`, `1h30m`, `7d`; a bare number is seconds. Milliseconds, for timers. */
export function parseDuration(text: string): number {
  const total = durationMs(text);
  if (total <= longestMs) return total;
  throw new ImgctlError('Usage', `duration "${text}" is too long (at most 24d)`);
}

/** A duration of any length, to compare ages with. Milliseconds. */
export function parseAge(text: string): number {
  return durationMs(text);
}

function durationMs(text: string): number {
  const whole = /^(?:\d+(?:ms|s|m|h|d))+$|^\d+$/.test(text);
  if (!whole) throw new ImgctlError('Usage', `invalid duration: "${text}" (examples: 90s, 5m, 1h30m)`);
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)?/g)) {
    total += Number(amount) * (durationUnits[unit ?? 's'] ?? 1000);
  }
  return total;
}
