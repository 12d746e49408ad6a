/** `3 days ago`: times as distances from now, for those who asked (ux.md §4.2). */

const steps: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['year', 365.25 * 86_400],
  ['month', 30.4375 * 86_400],
  ['week', 7 * 86_400],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];

let format: Intl.RelativeTimeFormat | undefined;

/** In the largest unit of which it is at least one; a text that is no time is left as it is. */
export function relativeTime(stamp: string, nowMs: number): string {
  const seconds = (Date.parse(stamp) - nowMs) / 1000;
  if (Number.isNaN(seconds)) return stamp;
  const [unit, scale] = steps.find(([, size]) => Math.abs(seconds) >= size) ?? ['second', 1];
  // Made when first needed: loading the words takes longer than a whole list.
  format ??= new Intl.RelativeTimeFormat('en', {numeric: 'always'});
  return format.format(Math.trunc(seconds / scale) || -0, unit);
}
