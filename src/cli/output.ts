/**
 * Everything a person or a script sees passes here: data on stdout, all else on stderr (ux.md §1). Inherited
 * exception: imgadm's step lines go to stdout, and are dropped under --json so that stdout is JSON only. What is no data
 * may end up in a log, so it has no secret of a URL.
 */

import {maskUrls} from '../http/mask-url.ts';
import type {JournalLines} from './journal-lines.ts';
import {type LineLevel, levels} from './line-levels.ts';
import type {LineFacts} from './progress/plain-lines.ts';
import {escapeControls, escapeRest} from './table.ts';
import {paintMessage} from './terminal-style.ts';

export interface Streams {
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
}

export interface OutputOptions {
  /** What precedes a message on stderr: `imgctl import`. */
  subject: string;
  quiet: boolean;
  json: boolean;
  /** Colour on stderr. */
  color?: boolean;
  /** Where stderr leads to the journal. */
  journal?: JournalLines | undefined;
}

export class Output {
  readonly streams: Streams;
  subject: string;
  readonly quiet: boolean;
  readonly json: boolean;
  /** When a line was last written, by the clock of `performance`. */
  lastLineMs = Number.NEGATIVE_INFINITY;
  readonly #color: boolean;
  readonly #journal: JournalLines | undefined;
  readonly #warned = new Set<string>();
  #clearProgress: (() => void) | undefined;

  constructor(streams: Streams, options: OutputOptions) {
    this.streams = streams;
    this.subject = options.subject;
    this.quiet = options.quiet;
    this.json = options.json;
    this.#color = options.color === true;
    this.#journal = options.journal;
  }

  /** Called before a line is written, so that a progress line is not torn. */
  onBeforeLine(clear: (() => void) | undefined): void {
    this.#clearProgress = clear;
  }

  /** Text of the answer; a newline is added. '' prints nothing. */
  data(text: string): void {
    if (text === '') return;
    this.#beforeLine();
    this.streams.stdout.write(`${escapeRest(text)}\n`);
  }

  /** A step line of the imgadm contract. */
  step(line: string, options: {onStderr?: boolean} = {}): void {
    if (this.json) return;
    if (options.onStderr) this.#toStderr(escapeControls(line), 'notice');
    else this.data(escapeControls(maskUrls(line)));
  }

  notice(line: string): void {
    if (!this.quiet) this.#toStderr(escapeControls(line), 'notice');
  }

  /** A line for people at a terminal who may wonder, not for scripts, and not for imgadm (ux.md §4.1). */
  hint(line: string): void {
    if (this.streams.stderr.isTTY && !this.subject.startsWith('imgadm')) this.notice(line);
  }

  /** Distinct warnings so far. */
  get warnings(): number {
    return this.#warned.size;
  }

  /** Once per distinct text and run, with --quiet too (ux.md §7.2). */
  warn(text: string): void {
    if (this.#warned.has(text)) return;
    this.#warned.add(text);
    this.#toStderr(`${this.subject}: warning: ${escapeControls(text)}`, 'warning');
  }

  /** A line that is already whole; `level` is one of syslog's. */
  line(text: string, level: number): void {
    const name = level >= levels.info ? 'info' : level === levels.notice ? 'notice' : 'warning';
    this.#toStderr(text, level <= levels.error ? 'error' : name);
  }

  /** Only where progress is wanted at all; `facts` are what the line is about. */
  progressLine(line: string, facts?: LineFacts): void {
    if (this.#journal?.sendProgress(escapeControls(maskUrls(line)), facts)) this.#beforeLine();
    else this.#toStderr(escapeControls(line), 'info');
  }

  #toStderr(text: string, level: LineLevel): void {
    this.#beforeLine();
    const safe = escapeRest(maskUrls(text));
    const painted = this.#color ? paintMessage(safe) : safe;
    this.streams.stderr.write(`${this.#journal?.withLevel(safe, level) ?? painted}\n`);
  }

  #beforeLine(): void {
    this.#clearProgress?.();
    this.lastLineMs = performance.now();
  }
}
