/** One fraction for all that a pull does, with importd's weights (spec/engine.md §2). */

/** What all downloads together are worth. */
const downloadShare = {raw: 0.8, tar: 0.85} as const;

export type PullPhase = 'verify' | 'unpack' | 'finalize' | 'copy';

const phaseStarts: Record<'raw' | 'tar', Record<PullPhase, number>> = {
  raw: {verify: 0.8, unpack: 0.85, finalize: 0.9, copy: 0.95},
  tar: {verify: 0.85, unpack: 0.85, finalize: 0.9, copy: 0.95},
};

export class PullProgress {
  readonly #format: 'raw' | 'tar';
  readonly #report: (fraction: number) => void;
  readonly #parts = new Map<string, {weight: number; fraction: number}>();
  #mainFraction = 0;
  #shown = 0;

  constructor(format: 'raw' | 'tar', report: (fraction: number) => void) {
    this.#format = format;
    this.#report = report;
  }

  /** A file besides the image takes its weight from the image's. */
  expect(part: string, weight: number): void {
    this.#parts.set(part, {weight, fraction: 0});
  }

  update(part: string, fraction: number): void {
    const known = this.#parts.get(part);
    if (known) known.fraction = fraction;
    this.#showDownloads();
  }

  updateMain(fraction: number): void {
    this.#mainFraction = fraction;
    this.#showDownloads();
  }

  enter(phase: PullPhase): void {
    this.#show(phaseStarts[this.#format][phase]);
  }

  finish(): void {
    this.#show(1);
  }

  #showDownloads(): void {
    const parts = [...this.#parts.values()];
    const expected = parts.reduce((sum, {weight}) => sum + weight, 0);
    const done = parts.reduce((sum, {weight, fraction}) => sum + weight * fraction, 0);
    this.#show(done + this.#mainFraction * (downloadShare[this.#format] - expected));
  }

  /** Never goes back: the parts are not all known at the start. */
  #show(fraction: number): void {
    if (fraction <= this.#shown) return;
    this.#shown = fraction;
    this.#report(fraction);
  }
}
