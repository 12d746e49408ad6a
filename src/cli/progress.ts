/**
 * Progress on stderr (ux.md §6): a redrawn line on a terminal, sparse plain lines elsewhere, one JSON object per line on
 * request. Numbers are payload bytes of the named phase; no phase claims to be the whole.
 */

import type {ProgressUpdate} from '../actions/context.ts';
import {formatSize} from '../manifest/size-text.ts';
import {formatDuration} from './durations.ts';
import type {Output} from './output.ts';

const redrawMs = 100;
const plainEveryMs = 15_000;
const plainStep = 0.1;
/** What is over sooner is not worth a line in a log. */
const plainAfterMs = 1000;
/** Rate and time left are shown from here on; before, they swing too much. */
const settleMs = 2000;

interface Track {
  update: ProgressUpdate;
  startedMs: number;
  startedBytes: number;
  /** Last plain line: when, and the share it showed. */
  printedMs: number;
  printedShare: number;
}

type Mode = 'bar' | 'plain' | 'json' | 'none';

export class Progress {
  readonly #output: Output;
  readonly #mode: Mode;
  readonly #tracks = new Map<string, Track>();
  #drawn = false;
  #drawnMs = 0;

  constructor(output: Output, options: {mode: string; env: Readonly<Record<string, string | undefined>>}) {
    this.#output = output;
    this.#mode = chooseMode(options.mode, output.streams.stderr.isTTY === true, options.env);
    output.onBeforeLine(() => this.#clear());
  }

  /** Whether a line is redrawn on a terminal. */
  get isBar(): boolean {
    return this.#mode === 'bar';
  }

  update(update: ProgressUpdate): void {
    if (this.#mode === 'none') return;
    const now = performance.now();
    let track = this.#tracks.get(update.uuid);
    if (track?.update.phase !== update.phase) {
      if (track && this.#mode === 'plain') this.#plainLine(track, now, true);
      track = {update, startedMs: now, startedBytes: update.doneBytes, printedMs: now, printedShare: -1};
      this.#tracks.set(update.uuid, track);
    }
    track.update = update;
    if (this.#mode === 'bar') this.#redraw(now);
    else if (this.#mode === 'plain') this.#plainLine(track, now, false);
    else this.#jsonLine(track, now, 'progress');
  }

  end(uuid: string): void {
    const track = this.#tracks.get(uuid);
    if (!track) return;
    this.#tracks.delete(uuid);
    if (this.#mode === 'plain') this.#plainLine(track, performance.now(), true);
    if (this.#mode === 'json') this.#jsonLine(track, performance.now(), 'end');
    this.#clear();
  }

  close(): void {
    this.#tracks.clear();
    this.#clear();
    this.#output.onBeforeLine(undefined);
  }

  #clear(): void {
    if (!this.#drawn) return;
    this.#drawn = false;
    this.#output.streams.stderr.write('\r\u001b[K');
  }

  #redraw(now: number): void {
    if (now - this.#drawnMs < redrawMs) return;
    this.#drawnMs = now;
    const [track] = this.#tracks.values();
    if (!track) return;
    const others = this.#tracks.size - 1;
    const columns = this.#output.streams.stderr.columns || 80;
    const line = barLine(track, now) + (others > 0 ? `  +${others} more` : '');
    this.#drawn = true;
    this.#output.streams.stderr.write(`\r${line.slice(0, columns - 1)}\u001b[K`);
  }

  /** Once a phase has lasted a second: then at every tenth or 15 s whichever is rarer, and at the end. */
  #plainLine(track: Track, now: number, atEnd: boolean): void {
    const {doneBytes, totalBytes} = track.update;
    const share = totalBytes ? doneBytes / totalBytes : 0;
    const isFirst = track.printedShare < 0;
    if (isFirst && now - track.startedMs < plainAfterMs) return;
    const isDue = now - track.printedMs >= plainEveryMs && share - track.printedShare >= plainStep;
    if (!isFirst && !isDue && !atEnd) return;
    if (atEnd && track.printedShare === share) return;
    track.printedMs = now;
    track.printedShare = share;
    this.#output.streams.stderr.write(`${plainText(track, now)}\n`);
  }

  #jsonLine(track: Track, now: number, event: 'progress' | 'end'): void {
    if (event === 'progress' && track.printedShare >= 0 && now - track.printedMs < 1000) return;
    track.printedMs = now;
    track.printedShare = 0;
    const {uuid, phase, doneBytes, totalBytes} = track.update;
    const rate = rateOf(track, now);
    const eta = rate && totalBytes ? Math.round((totalBytes - doneBytes) / rate) : null;
    const line = {
      ts: new Date().toISOString(),
      event,
      uuid,
      phase,
      done: doneBytes,
      total: totalBytes ?? null,
      rate: rate ? Math.round(rate) : null,
      eta,
    };
    this.#output.streams.stderr.write(`${JSON.stringify(line)}\n`);
  }
}

function chooseMode(
  asked: string,
  isTerminal: boolean,
  env: Readonly<Record<string, string | undefined>>,
): Mode {
  if (asked === 'bar' || asked === 'plain' || asked === 'json' || asked === 'none') return asked;
  const cannotRedraw =
    !isTerminal || env.TERM === 'dumb' || env.IMGCTL_ACCESSIBLE === '1' || Boolean(env.ACCESSIBLE);
  return cannotRedraw ? 'plain' : 'bar';
}

/** Bytes per second since the phase began; undefined until it has settled. */
function rateOf(track: Track, now: number): number | undefined {
  const elapsedMs = now - track.startedMs;
  if (elapsedMs < settleMs) return undefined;
  return ((track.update.doneBytes - track.startedBytes) / elapsedMs) * 1000;
}

function barLine(track: Track, now: number): string {
  const {title, phase, doneBytes, totalBytes} = track.update;
  const rate = rateOf(track, now);
  const rateText = rate === undefined ? ''.padStart(12) : `${formatSize(rate)}/s`.padStart(12);
  const head = `${title}  ${phase}`;
  if (!totalBytes) return `${head}  ${formatSize(doneBytes).padStart(10)}  ${rateText}`;
  const share = Math.min(1, doneBytes / totalBytes);
  const cells = 24;
  const filled = Math.floor(share * cells);
  const bar = `${'='.repeat(filled)}${filled < cells ? '>' : ''}`.padEnd(cells);
  const left = rate ? formatDuration((totalBytes - doneBytes) / rate) : '';
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  return `${head}  [${bar}] ${percent}  ${formatSize(doneBytes).padStart(10)}  ${rateText}  ${left.padStart(6)}`;
}

function plainText(track: Track, now: number): string {
  const {title, phase, doneBytes, totalBytes, resumedAtBytes} = track.update;
  const resumed = resumedAtBytes ? `, resumed at ${formatSize(resumedAtBytes)}` : '';
  if (!totalBytes) return `${title} ${phase} ${formatSize(doneBytes)}${resumed}`;
  const percent = `${Math.floor((doneBytes / totalBytes) * 100)}%`.padStart(4);
  const rate = rateOf(track, now);
  const left =
    rate && doneBytes < totalBytes
      ? `, ${formatSize(rate)}/s, ${formatDuration((totalBytes - doneBytes) / rate)} left`
      : '';
  return `${title} ${phase} ${percent} (${formatSize(doneBytes)} of ${formatSize(totalBytes)}${left}${resumed})`;
}
