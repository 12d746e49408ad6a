const intervalMs = 1000;

/** Tells how far an import or export has come, at most once a second, as importd does (spec/engine.md §7). */
export class PercentLog {
  readonly #verb: string;
  readonly #log: (level: number, line: string) => void;
  readonly #now: () => number;
  #lastMs = Number.NEGATIVE_INFINITY;
  #lastPercent = -1;

  /** `verb` begins the line: `Imported`. */
  constructor(verb: string, log: (level: number, line: string) => void, now = () => performance.now()) {
    this.#verb = verb;
    this.#log = log;
    this.#now = now;
  }

  update(fraction: number): void {
    const percent = Math.floor(fraction * 100);
    const nowMs = this.#now();
    if (percent === this.#lastPercent || nowMs - this.#lastMs < intervalMs) return;
    this.#lastMs = nowMs;
    this.#lastPercent = percent;
    this.#log(6, `${this.#verb} ${percent}%.`);
  }
}
