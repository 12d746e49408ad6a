/**
 * Progress for logs and for ears (ux.md §6): a line at the start, at every tenth or quarter of a minute whichever is
 * rarer, when something changes, and at the end. No control characters. What is over within a second is not worth one.
 */

import type {ProgressRetry} from '../../actions/context.ts';
import {formatSize} from '../../manifest/size-text.ts';
import {plainEnd, plainText, spokenText} from './line-text.ts';
import type {Track} from './track.ts';
import {type ProgressView, retryText, type Scene} from './view.ts';

const everyMs = 15_000;
const step = 0.1;
const afterMs = 1000;
/** A line comes at least so often: what watches a log may take longer silence for death. */
const atLeastMs = 60_000;

/** What a line is about, for logs that keep such things apart. */
export type LineFacts = Pick<Track['update'], 'uuid' | 'id' | 'phase' | 'doneBytes' | 'totalBytes'>;

export interface PlainOptions {
  /** Words in place of signs. */
  isSpoken: boolean;
  write(line: string, facts: LineFacts | undefined): void;
}

/** Of a phase: when its last line was printed, and the share that one told. */
interface Printed {
  ms: number;
  share: number;
}

export class PlainLines implements ProgressView {
  readonly #options: PlainOptions;
  readonly #printed = new Map<string, Printed>();
  /** Images of which anything was told. */
  readonly #told = new Set<string>();

  constructor(options: PlainOptions) {
    this.#options = options;
  }

  resumed(track: Track, atBytes: number, scene: Scene): void {
    this.#write(track, scene, `resumed at ${formatSize(atBytes)}`);
  }

  leave(track: Track, scene: Scene, nowMs: number): void {
    const {uuid} = track.update;
    if (this.#printed.delete(uuid) && track.share === 1) this.#write(track, scene, this.#endOf(track, nowMs));
  }

  move(track: Track, scene: Scene, nowMs: number): void {
    const {share = 0} = track;
    const before = this.#printed.get(track.update.uuid);
    if (before === undefined) {
      if (nowMs - track.phaseMs >= afterMs && hasNumbers(track)) this.#progress(track, scene, nowMs);
      return;
    }
    const passedMs = nowMs - before.ms;
    const isDue = passedMs >= everyMs && (share - before.share >= step || track.share === undefined);
    if (share < 1 && (isDue || passedMs >= atLeastMs)) this.#progress(track, scene, nowMs);
  }

  tick(scene: Scene, nowMs: number): void {
    for (const track of scene.tracks) {
      this.move(track, scene, nowMs);
      if (track.isStallTold || track.stalledSeconds(nowMs) === undefined) continue;
      track.isStallTold = true;
      this.#progress(track, scene, nowMs);
    }
  }

  retry(track: Track | undefined, retry: ProgressRetry, scene: Scene): void {
    if (track) this.#write(track, scene, retryText(retry));
    else this.#options.write(retryText(retry), undefined);
  }

  end(track: Track, scene: Scene, {nowMs, isDone}: {nowMs: number; isDone: boolean}): void {
    const wasTold = this.#told.delete(track.update.uuid);
    this.leave(track, scene, nowMs);
    if (wasTold && isDone) this.#write(track, scene, 'verify ok, unpack ok');
  }

  #progress(track: Track, scene: Scene, nowMs: number): void {
    this.#printed.set(track.update.uuid, {ms: nowMs, share: track.share ?? 0});
    this.#told.add(track.update.uuid);
    this.#write(track, scene, this.#options.isSpoken ? spokenText(track, nowMs) : plainText(track, nowMs));
  }

  #endOf(track: Track, nowMs: number): string {
    return this.#options.isSpoken ? `${track.update.phase} done` : plainEnd(track, nowMs);
  }

  /** The image is named only where there are others. */
  #write({update}: Track, {tracks, plan}: Scene, text: string): void {
    const isOne = (plan?.images ?? tracks.length) <= 1;
    this.#options.write(isOne ? text : `${update.title} ${text}`, update);
  }
}

function hasNumbers({share, update}: Track): boolean {
  return share !== undefined || update.doneBytes > 0;
}
