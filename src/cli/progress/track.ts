/** One piece of work that is going on: an image in one of its phases, with the numbers of that phase alone. */

import type {ProgressUpdate} from '../../actions/context.ts';
import {RateMeter} from './rate-meter.ts';

/** After so long without a byte a transfer is said to stand still (ux.md §6). */
const stallMs = 10_000;
/** Phases in which bytes have to come from elsewhere. */
const phasesOnTheWire = new Set(['download', 'upload']);

export class Track {
  readonly startedMs: number;
  update: ProgressUpdate;
  /** When this phase began. */
  phaseMs: number;
  /** Its bytes when it began, which were there before. */
  phaseBytes: number;
  /** Whether it was told that it stands still. */
  isStallTold = false;
  isResumeTold = false;
  #meter: RateMeter;

  constructor(update: ProgressUpdate, nowMs: number) {
    this.startedMs = nowMs;
    this.update = update;
    this.phaseMs = nowMs;
    this.phaseBytes = update.doneBytes;
    this.#meter = new RateMeter(nowMs, update.doneBytes);
  }

  /** Whether a new phase began with it. */
  move(update: ProgressUpdate, nowMs: number): boolean {
    const isNewPhase = update.phase !== this.update.phase;
    if (isNewPhase) {
      this.phaseMs = nowMs;
      this.phaseBytes = update.doneBytes;
      this.#meter = new RateMeter(nowMs, update.doneBytes);
    }
    if (update.doneBytes !== this.update.doneBytes) this.isStallTold = false;
    this.update = update;
    this.#meter.add(nowMs, update.doneBytes);
    return isNewPhase;
  }

  /** Of the phase, 0 to 1; undefined while the total is unknown. */
  get share(): number | undefined {
    const {doneBytes, totalBytes} = this.update;
    return totalBytes ? Math.min(1, doneBytes / totalBytes) : undefined;
  }

  rate(nowMs: number): number | undefined {
    return this.#meter.rate(nowMs);
  }

  secondsLeft(nowMs: number): number | undefined {
    const {doneBytes, totalBytes} = this.update;
    return totalBytes ? this.#meter.secondsLeft(nowMs, Math.max(0, totalBytes - doneBytes)) : undefined;
  }

  /** How long no byte has come, in seconds, once that is worth telling. */
  stalledSeconds(nowMs: number): number | undefined {
    const stillMs = this.#meter.stillMs(nowMs);
    const {phase, totalBytes} = this.update;
    // Who waits for another process sees its bytes.
    const isOnTheWire = phasesOnTheWire.has(phase) || (phase === 'wait' && totalBytes !== undefined);
    const isStalled = stillMs >= stallMs && isOnTheWire;
    return isStalled ? Math.floor(stillMs / 1000) : undefined;
  }
}
