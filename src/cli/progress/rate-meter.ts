/**
 * Rate and time left (ux.md §6): from the bytes of the last ten seconds, so that a pause or a burst is forgotten again.
 * Nothing is told before there is something to tell, and no time left while it jumps.
 */

const windowMs = 10_000;
/** Samples closer together than this count as one. */
const sampleMs = 100;
/** Rate and time left are told from here on; before, they swing too much. */
const settleMs = 2000;
/** A time left that is so many times what the one before let expect is not told. */
const swing = 2;

interface Sample {
  ms: number;
  bytes: number;
}

export class RateMeter {
  readonly #startMs: number;
  #samples: Sample[];
  /** When bytes last came. */
  #movedMs: number;
  #estimate: {ms: number; seconds: number} | undefined;

  constructor(nowMs: number, bytes: number) {
    this.#startMs = nowMs;
    this.#movedMs = nowMs;
    this.#samples = [{ms: nowMs, bytes}];
  }

  add(nowMs: number, bytes: number): void {
    const last = this.#samples.at(-1);
    if (bytes !== last?.bytes) this.#movedMs = nowMs;
    // The first of the window stays: it is what the others are compared with.
    if (last && this.#samples.length > 1 && nowMs - (this.#samples.at(-2)?.ms ?? 0) < sampleMs)
      this.#samples.pop();
    this.#samples.push({ms: nowMs, bytes});
  }

  /** Milliseconds since bytes last came. */
  stillMs(nowMs: number): number {
    return nowMs - this.#movedMs;
  }

  /** Bytes a second; undefined until it has settled. */
  rate(nowMs: number): number | undefined {
    if (nowMs - this.#startMs < settleMs) return undefined;
    while (this.#samples.length > 2 && nowMs - (this.#samples[1]?.ms ?? nowMs) >= windowMs)
      this.#samples.shift();
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (!first || !last || nowMs <= first.ms) return undefined;
    if (nowMs - last.ms >= windowMs) return 0;
    return ((last.bytes - first.bytes) / (nowMs - first.ms)) * 1000;
  }

  /** Seconds until so many bytes more have come; undefined while nobody can tell. */
  secondsLeft(nowMs: number, leftBytes: number): number | undefined {
    const rate = this.rate(nowMs);
    if (!rate) {
      this.#estimate = undefined;
      return undefined;
    }
    const seconds = leftBytes / rate;
    const before = this.#estimate;
    this.#estimate = {ms: nowMs, seconds};
    if (before === undefined) return seconds;
    const expected = Math.max(1, before.seconds - (nowMs - before.ms) / 1000);
    const ratio = Math.max(1, seconds) / expected;
    return ratio > swing || ratio < 1 / swing ? undefined : seconds;
  }
}
