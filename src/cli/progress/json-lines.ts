/** Progress for programs (ux.md §6): one JSON object a line, with the same keys in the same order in all of them. */

import type {ProgressRetry} from '../../actions/context.ts';
import {isUuid} from '../../manifest/manifest.ts';
import type {Track} from './track.ts';
import type {ProgressView, Scene} from './view.ts';

const everyMs = 1000;

type ProgressEvent = 'start' | 'phase' | 'progress' | 'retry' | 'stall' | 'end';

export class JsonLines implements ProgressView {
  readonly #write: (line: string) => void;
  readonly #printedMs = new Map<string, number>();

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  start(track: Track, _scene: Scene, nowMs: number): void {
    // What is asked for is not yet an image.
    this.#line(track.update.phase === 'resolve' ? 'phase' : 'start', track, nowMs);
  }

  move(track: Track, _scene: Scene, nowMs: number): void {
    if (track.phaseMs === nowMs && track.startedMs !== nowMs) this.#line('phase', track, nowMs);
    else if (nowMs - (this.#printedMs.get(track.update.uuid) ?? 0) >= everyMs)
      this.#line('progress', track, nowMs);
  }

  tick({tracks}: Scene, nowMs: number): void {
    for (const track of tracks) {
      const seconds = track.stalledSeconds(nowMs);
      if (track.isStallTold || seconds === undefined) continue;
      track.isStallTold = true;
      this.#line('stall', track, nowMs, {seconds});
    }
  }

  retry(track: Track | undefined, {attempt, of, waitMs, cause}: ProgressRetry): void {
    this.#line('retry', track, performance.now(), {attempt, of, wait: Math.ceil(waitMs / 1000), cause});
  }

  end(track: Track, _scene: Scene, {nowMs, isDone}: {nowMs: number; isDone: boolean}): void {
    if (track.update.phase !== 'resolve') this.#line('end', track, nowMs, {ok: isDone});
    this.#printedMs.delete(track.update.uuid);
  }

  #line(event: ProgressEvent, track: Track | undefined, nowMs: number, more: object = {}): void {
    const {
      uuid = '',
      id = null,
      phase = null,
      doneBytes = null,
      totalBytes = null,
      isShare,
    } = track?.update ?? {};
    this.#printedMs.set(uuid, nowMs);
    const rate = isShare ? undefined : track?.rate(nowMs);
    const eta = track?.secondsLeft(nowMs);
    const line = {
      ts: new Date().toISOString(),
      event,
      id,
      uuid: isUuid(uuid) ? uuid : null,
      phase,
      done: doneBytes,
      total: totalBytes,
      rate: rate === undefined ? null : Math.round(rate),
      eta: eta === undefined ? null : Math.round(eta),
      ...more,
    };
    this.#write(JSON.stringify(line));
  }
}
