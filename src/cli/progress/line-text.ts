/**
 * Progress as lines of text (ux.md §6): bars that fit any terminal, plain lines for logs, and words for those who have
 * them read aloud. A bar never says 100 %: that is for an image that is installed.
 */

import {formatSize} from '../../manifest/size-text.ts';
import {cellWidth, shortenedTo} from '../cell-width.ts';
import {formatDuration} from '../durations.ts';
import type {Track} from './track.ts';

/** What a bar line shows. */
export interface BarView {
  title: string;
  phase: string;
  /** 0 to 1; undefined while the total is unknown. */
  share: number | undefined;
  /** Absent where the work is not counted in bytes. */
  doneBytes?: number | undefined;
  rate?: number | undefined;
  secondsLeft?: number | undefined;
  stalledSeconds?: number | undefined;
  /** Turns the mark of a bar without an end. */
  ageMs: number;
}

export interface BarOptions {
  /** Cells there are; the line keeps within them. */
  columns: number;
  isAscii: boolean;
  ellipsis: string;
  /** Cells of the longest title among the lines. */
  titleCells: number;
}

const widths = {percent: 3, done: 10, rate: 12, left: 6} as const;
type Part = keyof typeof widths;

/** What is left out first where there is little room; the phase always stays. */
const layouts: readonly {bar: boolean; parts: readonly Part[]; leastTitle: number}[] = [
  {bar: true, parts: ['percent', 'done', 'rate', 'left'], leastTitle: 16},
  {bar: false, parts: ['percent', 'done', 'rate', 'left'], leastTitle: 16},
  {bar: false, parts: ['percent', 'done', 'left'], leastTitle: 12},
  {bar: false, parts: ['percent', 'done'], leastTitle: 8},
  {bar: false, parts: ['percent'], leastTitle: 6},
];
const leastBar = 8;
const widestBar = 24;
const phaseCells = 8;

export function barLine(view: BarView, options: BarOptions): string {
  const phase = view.phase.padEnd(phaseCells);
  const room = options.columns - cellWidth(phase) - 2;
  const layout =
    layouts.find((candidate) => needOf(candidate, options.titleCells) <= room) ?? layouts.at(-1)!;
  const texts = partTexts(view, layout.parts);
  const partsCells = texts.reduce((sum, text) => sum + text.length + 2, 0);
  const titleCells = Math.max(
    1,
    Math.min(options.titleCells, room - partsCells - (layout.bar ? leastBar + 4 : 0)),
  );
  const title = shortenedTo(view.title, titleCells, options.ellipsis);
  const head = `${title}${' '.repeat(Math.max(0, titleCells - cellWidth(title)))}  ${phase}`;
  const barCells = Math.min(widestBar, room - partsCells - titleCells - 4);
  const bar = layout.bar ? [`[${barText(view, barCells, options.isAscii)}]`] : [];
  return shortenedTo([head, ...bar, ...texts].join('  ').trimEnd(), options.columns, '');
}

function needOf({bar, parts, leastTitle}: (typeof layouts)[number], titleCells: number): number {
  const partsCells = parts.reduce((sum, part) => sum + widths[part] + 2, 0);
  return Math.min(leastTitle, titleCells) + partsCells + (bar ? leastBar + 4 : 0);
}

/** Every part has its width whatever it says, so that the line does not jump. */
function partTexts(view: BarView, parts: readonly Part[]): string[] {
  const {share, doneBytes, rate, secondsLeft, stalledSeconds} = view;
  const texts: Record<Part, string> = {
    percent: share === undefined ? '' : `${percentOf(share)}%`,
    done: doneBytes === undefined ? '' : formatSize(doneBytes),
    rate: rate === undefined || doneBytes === undefined ? '' : `${formatSize(rate)}/s`,
    left: secondsLeft === undefined ? '' : formatDuration(secondsLeft),
  };
  if (stalledSeconds === undefined) return parts.map((part) => texts[part].padStart(widths[part]));
  const kept = parts.filter((part) => part === 'percent' || part === 'done');
  const cells = parts.includes('rate') ? widths.rate + 2 + widths.left : 0;
  const stalled = `stalled ${formatDuration(stalledSeconds)}`;
  return [...kept.map((part) => texts[part].padStart(widths[part])), stalled.padStart(cells)];
}

function percentOf(share: number): number {
  return Math.min(99, Math.floor(share * 100));
}

function barText({share, ageMs}: BarView, cells: number, isAscii: boolean): string {
  if (share === undefined) return movingMark(ageMs, cells, isAscii);
  const filled = Math.floor(share * cells);
  if (isAscii) return '#'.repeat(filled).padEnd(cells);
  return `${'='.repeat(filled)}${filled < cells ? '>' : ''}`.padEnd(cells);
}

/** Goes to and fro: nobody knows how far it is. */
function movingMark(ageMs: number, cells: number, isAscii: boolean): string {
  const mark = isAscii ? '###' : '<=>';
  const way = Math.max(1, cells - mark.length);
  const step = Math.floor(ageMs / 250) % (2 * way);
  return `${' '.repeat(step < way ? step : 2 * way - step)}${mark}`.padEnd(cells);
}

/** `download  50% (71.2 MiB of 142.3 MiB, 4.7 MiB/s, 15s left)`. */
export function plainText(track: Track, nowMs: number): string {
  const {phase, doneBytes, totalBytes, isShare} = track.update;
  const rate = track.rate(nowMs);
  const stalled = track.stalledSeconds(nowMs);
  const secondsLeft = stalled === undefined ? track.secondsLeft(nowMs) : undefined;
  const facts = [
    ...(isShare
      ? []
      : [totalBytes ? `${amount(doneBytes)} of ${formatSize(totalBytes)}` : amount(doneBytes)]),
    ...(rate && !isShare && stalled === undefined ? [`${formatSize(rate)}/s`] : []),
    ...(secondsLeft === undefined || track.share === 1 ? [] : [`${formatDuration(secondsLeft)} left`]),
    ...(stalled === undefined ? [] : [`stalled ${formatDuration(stalled)}`]),
  ];
  const percent = track.share === undefined ? '' : ` ${`${Math.floor(track.share * 100)}%`.padStart(4)}`;
  return `${phase}${percent}${facts.length > 0 ? ` (${facts.join(', ')})` : ''}`;
}

/** `download 100% (142.3 MiB in 32s)`: a phase that is over. */
export function plainEnd(track: Track, nowMs: number): string {
  const {phase, doneBytes, isShare} = track.update;
  const time = formatDuration((nowMs - track.phaseMs) / 1000);
  return `${phase} 100% (${isShare ? time : `${formatSize(doneBytes)} in ${time}`})`;
}

function amount(bytes: number): string {
  return bytes === 0 ? '0' : formatSize(bytes);
}

const unitWords = ['byte', 'kibibyte', 'mebibyte', 'gibibyte', 'tebibyte'];

/** `download 42 percent, 61 of 142 mebibytes, about 5 seconds left`. */
export function spokenText(track: Track, nowMs: number): string {
  const {phase, doneBytes, totalBytes, isShare} = track.update;
  const stalled = track.stalledSeconds(nowMs);
  const left = stalled === undefined && track.share !== 1 ? track.secondsLeft(nowMs) : undefined;
  const {unit, scale} = unitOf(totalBytes ?? doneBytes);
  const done = Math.floor(doneBytes / scale);
  const total = Math.floor((totalBytes ?? 0) / scale);
  const numbers = totalBytes ? `${done} of ${counted(total, unit)}` : counted(done, unit);
  const percent = track.share === undefined ? [] : [`${Math.floor(track.share * 100)} percent`];
  return `${phase} ${[
    ...percent,
    ...(isShare ? [] : [numbers]),
    ...(left === undefined ? [] : [`about ${spokenTime(left)} left`]),
    ...(stalled === undefined ? [] : [`no data for ${counted(stalled, 'second')}`]),
  ].join(', ')}`;
}

/** Whole units, of the largest that leaves at least one. */
function unitOf(bytes: number): {unit: string; scale: number} {
  let step = 0;
  while (bytes >= 1024 ** (step + 1) && step < unitWords.length - 1) step += 1;
  return {unit: unitWords[step] ?? 'byte', scale: 1024 ** step};
}

function spokenTime(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 90) return counted(whole, 'second');
  if (whole < 5400) return counted(Math.round(whole / 60), 'minute');
  return counted(Math.round(whole / 3600), 'hour');
}

function counted(count: number, unit: string): string {
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
