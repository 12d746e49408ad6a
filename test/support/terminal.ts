/** A real terminal, by tmux: keys go in, the screen comes out. Its server is its own and ends with it. */

import {spawnSync} from 'node:child_process';
import path from 'node:path';

const patienceMs = 40_000;

export interface TerminalOptions {
  /** Holds the socket; the working directory too. */
  directory: string;
  env: NodeJS.ProcessEnv;
  columns: number;
  rows?: number;
  /** The words of the program. */
  command: readonly string[];
}

export class Terminal {
  readonly #socket: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor({directory, env, columns, rows = 24, command}: TerminalOptions) {
    this.#socket = path.join(directory, `tmux-${columns}-${process.hrtime.bigint()}`);
    this.#env = env;
    const size = ['-x', String(columns), '-y', String(rows)];
    this.#tmux('-f', '/dev/null', 'new-session', '-d', ...size, '-c', directory, '--', ...command);
    this.#tmux('set-option', '-g', 'remain-on-exit', 'on');
  }

  /** Keys as tmux names them: `Tab`, `Enter`, `C-c`. */
  press(...keys: readonly string[]): void {
    this.#tmux('send-keys', ...keys);
  }

  type(text: string): void {
    this.#tmux('send-keys', '-l', '--', text);
  }

  resize(columns: number, rows = 24): void {
    this.#tmux('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** Lines of the screen, without blanks at their ends and empty lines at the end. */
  screen(): string {
    const lines = this.#tmux('capture-pane', '-p').split('\n');
    return lines
      .map((line) => line.trimEnd())
      .join('\n')
      .trimEnd();
  }

  /** The screen once it looks so; fails with the last one. */
  async until(looks: (screen: string) => boolean): Promise<string> {
    const end = Date.now() + patienceMs;
    for (;;) {
      const screen = this.screen();
      if (looks(screen)) return screen;
      if (Date.now() > end) throw new Error(`the screen never came:\n${screen}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  close(): void {
    spawnSync('tmux', ['-S', this.#socket, 'kill-server'], {env: this.#env});
  }

  #tmux(...words: readonly string[]): string {
    const {status, stdout, stderr} = spawnSync('tmux', ['-S', this.#socket, '-u', ...words], {
      env: this.#env,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`tmux ${words[0]}: ${stderr}`);
    return stdout;
  }
}
