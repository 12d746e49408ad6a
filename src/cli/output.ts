/**
 * Everything a person or a script sees passes here: data on stdout, all else on stderr (ux.md §1). Inherited
 * exception: imgadm's step lines go to stdout, and are dropped under --json so that stdout is JSON only.
 */

import {escapeControls} from './table.ts';

export interface Streams {
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
}

export class Output {
  readonly streams: Streams;
  /** What precedes a message on stderr: `imgctl import`. */
  subject: string;
  readonly quiet: boolean;
  readonly json: boolean;
  readonly #warned = new Set<string>();
  #clearProgress: (() => void) | undefined;

  constructor(streams: Streams, options: {subject: string; quiet: boolean; json: boolean}) {
    this.streams = streams;
    this.subject = options.subject;
    this.quiet = options.quiet;
    this.json = options.json;
  }

  /** Called before a line is written, so that a progress line is not torn. */
  onBeforeLine(clear: (() => void) | undefined): void {
    this.#clearProgress = clear;
  }

  /** Text of the answer; a newline is added. '' prints nothing. */
  data(text: string): void {
    if (text === '') return;
    this.#clearProgress?.();
    this.streams.stdout.write(`${text}\n`);
  }

  /** A step line of the imgadm contract. */
  step(line: string, options: {onStderr?: boolean} = {}): void {
    if (this.json) return;
    if (options.onStderr) this.#toStderr(escapeControls(line));
    else this.data(escapeControls(line));
  }

  notice(line: string): void {
    if (!this.quiet) this.#toStderr(escapeControls(line));
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
    this.#toStderr(`${this.subject}: warning: ${escapeControls(text)}`);
  }

  /** Lines that are already whole, such as an error. */
  errorLines(text: string): void {
    this.#toStderr(text);
  }

  #toStderr(line: string): void {
    this.#clearProgress?.();
    this.streams.stderr.write(`${line}\n`);
  }
}
