/** What the process gives us, read in this one place (style.md §2.6). */

import os from 'node:os';

export interface Environment {
  env: Readonly<Record<string, string | undefined>>;
  uid: number;
  homeDirectory: string;
  /** Fails with the error of the system when the directory was removed. */
  readonly cwd: string;
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
}

export function processEnvironment(): Environment {
  return {
    env: process.env,
    uid: process.getuid?.() ?? 0,
    homeDirectory: process.env.HOME || os.homedir(),
    get cwd() {
      return process.cwd();
    },
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
  };
}

/** A variable that is a switch: anything but an empty text or a word for no. */
export function isYes(text: string | undefined): boolean {
  return text !== undefined && !['', '0', 'no', 'false', 'off'].includes(text.toLowerCase());
}

/** What stands for text that is left out where the terminal or its locale may not know more than ASCII. */
export function ellipsisFor(env: Environment['env']): string {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  const isPlain = env.TERM === 'dumb' || isYes(env.IMGCTL_ASCII) || !/utf-?8/i.test(locale);
  return isPlain ? '...' : '…';
}
