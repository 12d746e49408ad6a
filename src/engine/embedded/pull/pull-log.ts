/** How importd words numbers in its log lines (spec/engine.md §2). */

const units = ['B', 'K', 'M', 'G', 'T', 'P', 'E'];

/** Base 1024, one decimal that is cut off and left out when it is zero: `252.3K`, `4M`, `64B`. */
export function formatBytes(bytes: number): string {
  let unit = 0;
  let scale = 1;
  while (unit < units.length - 1 && bytes >= scale * 1024) {
    unit += 1;
    scale *= 1024;
  }
  const tenths = Math.floor((bytes / scale) * 10) % 10;
  const fraction = unit > 0 && tenths > 0 ? `.${tenths}` : '';
  return `${Math.floor(bytes / scale)}${fraction}${units[unit]}`;
}

/** Seconds as the largest units that are not zero: `1min 20s`. */
export function formatSeconds(total: number): string {
  const parts: [number, string][] = [
    [Math.floor(total / 3600), 'h'],
    [Math.floor(total / 60) % 60, 'min'],
    [Math.floor(total) % 60, 's'],
  ];
  const shown = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count}${unit}`);
  return shown.length === 0 ? '0' : shown.join(' ');
}

/** Tells how far a file has come, at most once a second. */
export class ArrivalLog {
  readonly #url: string;
  readonly #log: (level: number, line: string) => void;
  readonly #now: () => number;
  readonly #startMs: number;
  #lastMs = Number.NEGATIVE_INFINITY;
  #lastPercent = -1;

  constructor(url: string, log: (level: number, line: string) => void, now = () => performance.now()) {
    this.#url = url;
    this.#log = log;
    this.#now = now;
    this.#startMs = now();
  }

  update(doneBytes: number, totalBytes: number | undefined): void {
    if (totalBytes === undefined || doneBytes === 0 || doneBytes >= totalBytes) return;
    const nowMs = this.#now();
    const percent = Math.floor((doneBytes * 100) / totalBytes);
    if (nowMs - this.#lastMs <= 1000 || percent === this.#lastPercent) return;
    this.#lastMs = nowMs;
    this.#lastPercent = percent;
    this.#log(6, `Got ${percent}% of ${this.#url}.${this.#forecast(nowMs, doneBytes, totalBytes)}`);
  }

  #forecast(nowMs: number, doneBytes: number, totalBytes: number): string {
    const seconds = (nowMs - this.#startMs) / 1000;
    if (seconds <= 1) return '';
    const left = formatSeconds((seconds * (totalBytes - doneBytes)) / doneBytes);
    return ` ${left} left at ${formatBytes(doneBytes / seconds)}/s.`;
  }
}
