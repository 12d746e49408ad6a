/**
 * Long lists and help in a pager (ux.md §4.5): `$IMGCTL_PAGER`, else `$PAGER`, else `less -FRX`. Only where somebody looks
 * at the text and can turn its pages; whatever goes wrong, the text is printed.
 */

import {spawn} from 'node:child_process';
import {cellWidth} from './cell-width.ts';
import type {Environment} from './environment.ts';
import {withoutInterrupts} from './without-interrupts.ts';

type Places = Pick<Environment, 'env' | 'stdin' | 'stdout'>;

/** What the shell answers when there is no such program, or it cannot be run. */
const notFound = [126, 127];

/** Prints the text, which ends with a newline. */
export async function page(text: string, {env, stdin, stdout}: Places): Promise<void> {
  const pager = pagerOf(env);
  const isWanted = pager !== undefined && stdin.isTTY && stdout.isTTY && env.TERM !== 'dumb';
  if (isWanted && isTaller(text, stdout) && (await isShown(text, pager, env))) return;
  stdout.write(text);
}

/** The command of the pager; undefined when there is to be none. */
export function pagerOf(env: Places['env']): string | undefined {
  const pager = env.IMGCTL_PAGER ?? env.PAGER ?? 'less -FRX';
  return ['', 'cat'].includes(pager.trim()) ? undefined : pager;
}

function isTaller(text: string, {rows, columns}: Places['stdout']): boolean {
  const lines = text.split('\n').slice(0, -1);
  const plain = (line: string): string => line.replace(colors, '');
  const taken = lines.reduce(
    (sum, line) => sum + Math.max(1, Math.ceil(cellWidth(plain(line)) / (columns || 80))),
    0,
  );
  return taken > (rows || 24) - 1;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
const colors = /\u001b\[\d*m/g;

/** Whether the pager took it. It has the terminal for itself; who leaves it early has read enough. */
function isShown(text: string, pager: string, env: Places['env']): Promise<boolean> {
  return withoutInterrupts(
    () =>
      new Promise((resolve) => {
        const child = spawn('/bin/sh', ['-c', pager], {
          env: {...env, LESS: env.LESS ?? 'FRX'},
          stdio: ['pipe', 'inherit', 'inherit'],
        });
        child.on('error', () => resolve(false));
        child.on('close', (status) => resolve(!notFound.includes(status ?? 0)));
        child.stdin?.on('error', () => undefined);
        child.stdin?.end(text);
      }),
  );
}
