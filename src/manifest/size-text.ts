/** Sizes as imgadm prints them (spec/imgadm.md §7.1). */

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Base 1024, one decimal cut, not rounded: `58.0 B`, `46.3 MiB`; zero is `0 B`. */
export function formatSize(bytes: number): string {
  if (bytes === 0) return '0 B';
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${(Math.floor(value * 10) / 10).toFixed(1)} ${units[unit]}`;
}
