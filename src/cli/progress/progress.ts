/**
 * Progress on stderr (ux.md §6): keeps what is going on and tells one view of it. Numbers are payload bytes of the named
 * phase; no phase claims to be the whole.
 */

import type {PlannedImage, ProgressRetry, ProgressUpdate} from '../../actions/context.ts';
import {formatDuration} from '../durations.ts';
import type {Environment} from '../environment.ts';
import type {Output} from '../output.ts';
import {isAccessible} from '../terminal-style.ts';
import {Bars, downloadedBytes} from './bars.ts';
import {JsonLines} from './json-lines.ts';
import {plainText} from './line-text.ts';
import {chooseMode, type ProgressMode} from './mode.ts';
import {PlainLines} from './plain-lines.ts';
import {Track} from './track.ts';
import type {Plan, ProgressView, Scene} from './view.ts';

const tickMs = 500;
/** Who hears nothing for so long thinks that it hangs (ux.md §1). */
const silenceMs = 10_000;

export interface ProgressOptions {
  /** `--progress`, or what stands for it. */
  asked: string | undefined;
  environment: Environment;
  /** Whether to say that there is work when nothing else is said. */
  breaksSilence: boolean;
}

export class Progress {
  readonly #output: Output;
  readonly #mode: ProgressMode;
  readonly #view: ProgressView | undefined;
  readonly #options: ProgressOptions;
  readonly #tracks = new Map<string, Track>();
  #plan: Plan | undefined;
  /** UUIDs of the plan; their lines keep its order. */
  #order: readonly string[] = [];
  readonly #finished = {images: 0, bytes: 0};
  #ticker: NodeJS.Timeout | undefined;
  #beganMs: number | undefined;

  constructor(output: Output, options: ProgressOptions) {
    this.#output = output;
    this.#options = options;
    this.#mode = chooseMode(options.asked, options.environment);
    this.#view = this.#makeView();
    output.onBeforeLine(() => this.#view?.clear?.());
  }

  #makeView(): ProgressView | undefined {
    const {environment} = this.#options;
    const write = (line: string): void => this.#output.progressLine(line);
    if (this.#mode === 'bar') return new Bars(environment, (line) => this.#output.notice(line));
    if (this.#mode === 'json') return new JsonLines(write);
    if (this.#mode === 'none') return undefined;
    return new PlainLines({
      isSpoken: isAccessible(environment.env),
      write: (line, facts) => this.#output.progressLine(line, facts),
    });
  }

  /** Whether lines are redrawn on a terminal. */
  get isBar(): boolean {
    return this.#mode === 'bar';
  }

  /** Whether a few lines are printed, as in a log. */
  get isPlain(): boolean {
    return this.#mode === 'plain';
  }

  /** From here to `close` there is work, of which something is to be heard. */
  begin(): void {
    if (this.#beganMs !== undefined) return;
    this.#beganMs = performance.now();
    this.#ticker = setInterval(() => this.#tick(), tickMs);
    // Work keeps the process alive, telling of it does not.
    this.#ticker.unref();
  }

  expect(images: readonly PlannedImage[]): void {
    const sizes = images.map(({sizeBytes}) => sizeBytes);
    const totalBytes = sizes.includes(undefined)
      ? undefined
      : sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
    this.#plan = {images: images.length, totalBytes};
    // What others brought meanwhile is not in it.
    Object.assign(this.#finished, {images: 0, bytes: 0});
    this.#order = images.map(({uuid}) => uuid);
  }

  update(update: ProgressUpdate): void {
    this.begin();
    const nowMs = performance.now();
    let track = this.#tracks.get(update.uuid);
    if (track === undefined) {
      track = new Track(update, nowMs);
      this.#tracks.set(update.uuid, track);
      this.#view?.start?.(track, this.#scene(), nowMs);
    } else {
      if (update.phase !== track.update.phase) this.#view?.leave?.(track, this.#scene(), nowMs);
      track.move(update, nowMs);
    }
    const {resumedAtBytes = 0} = update;
    if (resumedAtBytes > 0 && !track.isResumeTold) {
      track.isResumeTold = true;
      this.#view?.resumed?.(track, resumedAtBytes, this.#scene());
    }
    this.#view?.move(track, this.#scene(), nowMs);
  }

  retry(uuid: string, retry: ProgressRetry): void {
    this.#view?.retry(this.#tracks.get(uuid), retry, this.#scene());
  }

  end(uuid: string, isDone: boolean): void {
    const track = this.#tracks.get(uuid);
    if (!track) return;
    this.#tracks.delete(uuid);
    if (isDone) {
      this.#finished.images += 1;
      this.#finished.bytes += downloadedBytes(track);
    }
    this.#view?.end?.(track, this.#scene(), {nowMs: performance.now(), isDone});
  }

  /** A plain line of each work at once, however else it is shown: somebody asked (ux.md §11, SIGUSR1). */
  tellNow(): void {
    const nowMs = performance.now();
    const lines = [...this.#tracks.values()].map(
      (track) => `${track.update.title} ${plainText(track, nowMs)}`,
    );
    for (const line of lines.length > 0 ? lines : [this.#workText(nowMs)]) this.#output.progressLine(line);
  }

  /** While the terminal belongs to somebody else. */
  pause(): void {
    if (this.#view instanceof Bars) this.#view.pause();
  }

  resume(): void {
    if (this.#view instanceof Bars) this.#view.resume();
  }

  close(): void {
    clearInterval(this.#ticker);
    this.#tracks.clear();
    this.#view?.close?.();
    this.#output.onBeforeLine(undefined);
  }

  #scene(): Scene {
    const place = (track: Track): number => this.#order.indexOf(track.update.uuid);
    const tracks = [...this.#tracks.values()].sort((one, other) => place(one) - place(other));
    return {tracks, plan: this.#plan, finished: this.#finished};
  }

  #tick(): void {
    const nowMs = performance.now();
    if (this.#tracks.size > 0) this.#view?.tick?.(this.#scene(), nowMs);
    if (this.#mode !== 'bar' || this.#tracks.size === 0) this.#breakSilence(nowMs);
  }

  /** Where bytes move, their lines have a rhythm of their own. */
  #breakSilence(nowMs: number): void {
    const isSilent = nowMs - Math.max(this.#output.lastLineMs, this.#beganMs ?? nowMs) >= silenceMs;
    const isMoving = [...this.#tracks.values()].some((track) => track.share !== undefined);
    if (!isSilent || isMoving || this.#mode === 'none' || !this.#options.breaksSilence) return;
    this.#output.notice(this.#workText(nowMs));
  }

  #workText(nowMs: number): string {
    const phases = [
      ...new Set([...this.#tracks.values()].map(({update}) => `${update.title} ${update.phase}`)),
    ];
    const seconds = formatDuration((nowMs - (this.#beganMs ?? nowMs)) / 1000);
    return `still working after ${seconds}${phases.length > 0 ? `: ${phases.join(', ')}` : ''}`;
  }
}
