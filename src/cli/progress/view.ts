/** How progress is shown: one of these a run. */

import type {ProgressRetry} from '../../actions/context.ts';
import type {Track} from './track.ts';

/** What is to be done altogether, once that is known. */
export interface Plan {
  images: number;
  /** Undefined when one of them does not tell its size. */
  totalBytes: number | undefined;
}

/** The whole of a run at one moment. */
export interface Scene {
  tracks: readonly Track[];
  plan: Plan | undefined;
  finished: {images: number; bytes: number};
}

export interface ProgressView {
  /** Work on an image, or on what has no image, has begun. */
  start?(track: Track, scene: Scene, nowMs: number): void;
  /** Its download goes on where an earlier run, or another process, stopped. */
  resumed?(track: Track, atBytes: number, scene: Scene): void;
  /** Another phase begins; `track` still has the numbers of the one before, `next` names the new one. */
  leave?(track: Track, scene: Scene, nowMs: number): void;
  /** New numbers, or the beginning of a phase. */
  move(track: Track, scene: Scene, nowMs: number): void;
  /** About twice a second, while there is work. */
  tick?(scene: Scene, nowMs: number): void;
  retry(track: Track | undefined, retry: ProgressRetry, scene: Scene): void;
  end?(track: Track, scene: Scene, ended: {nowMs: number; isDone: boolean}): void;
  /** Takes away what is drawn, before other lines are written. */
  clear?(): void;
  /** Nothing more comes. */
  close?(): void;
}

export function retryText({attempt, of, waitMs, cause}: ProgressRetry): string {
  return `retry ${attempt} of ${of} in ${Math.ceil(waitMs / 1000)}s: ${cause}`;
}
