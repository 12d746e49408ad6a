/**
 * A few lines at the bottom of a terminal that are drawn over (ux.md §6). Between two drawings the cursor stands behind
 * the last of them. The screen is never cleared and nothing above is touched: when the terminal was made narrower the
 * old lines take more rows, which is what is gone up.
 */

import type {Environment} from '../environment.ts';
import {isYes} from '../environment.ts';

/** Progress in the tab or the task bar (OSC 9;4): nothing, so many percent, or some. */
export type TaskbarState = 'none' | 'unknown' | number;

export class Screen {
  readonly #stream: NodeJS.WriteStream;
  readonly #hasTaskbar: boolean;
  /** Cells of each line that stands there. */
  #drawn: number[] = [];
  #taskbar = '';

  constructor(stream: NodeJS.WriteStream, env: Environment['env']) {
    this.#stream = stream;
    // The console of Linux shows what it does not know.
    this.#hasTaskbar =
      stream.isTTY === true &&
      env.TERM !== 'linux' &&
      (env.IMGCTL_OSC === undefined || isYes(env.IMGCTL_OSC));
  }

  /** As it is now: the signal that tells of a new size may come after the next drawing. */
  get size(): {columns: number; rows: number} {
    const [columns, rows] = this.#stream.isTTY ? this.#stream.getWindowSize() : [];
    return {columns: columns || 80, rows: rows || 24};
  }

  /** Draws over what was drawn; `cells` are the widths of the lines. */
  draw(lines: readonly string[], cells: readonly number[]): void {
    const text = lines.map((line) => `${line}\u001b[K`).join('\r\n');
    this.#stream.write(`${this.#toFirstRow()}${text}\u001b[J`);
    this.#drawn = [...cells];
  }

  clear(): void {
    if (this.#drawn.length === 0) return;
    this.#stream.write(`${this.#toFirstRow()}\u001b[J`);
    this.#drawn = [];
  }

  showInTaskbar(state: TaskbarState): void {
    if (!this.#hasTaskbar) return;
    const code = state === 'none' ? '0;' : state === 'unknown' ? '3;' : `1;${state}`;
    const text = `\u001b]9;4;${code}\u001b\\`;
    if (text === this.#taskbar || (state === 'none' && this.#taskbar === '')) return;
    this.#taskbar = text;
    this.#stream.write(text);
  }

  #toFirstRow(): string {
    if (this.#drawn.length === 0) return '\r';
    const {columns} = this.size;
    const rows = this.#drawn.reduce((sum, cells) => sum + Math.max(1, Math.ceil(cells / columns)), 0);
    return rows > 1 ? `\r\u001b[${rows - 1}A` : '\r';
  }
}
