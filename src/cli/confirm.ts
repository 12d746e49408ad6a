/** The one question of a run (ux.md §10): after the whole plan was printed, and only where somebody can answer. */

import {createInterface} from 'node:readline/promises';
import {ImgctlError} from '../errors.ts';
import type {CommandContext} from './context.ts';
import {isYes} from './environment.ts';

/**
 * Whether to go on. `IMGCTL_ASSUME_YES` answers; without a terminal it is a usage error, which says what to pass: `answeredBy`. End of
 * input and Ctrl-C mean no.
 */
export async function confirm(
  context: CommandContext,
  plan: readonly string[],
  question: string,
  answeredBy = '--yes',
): Promise<boolean> {
  const {stdin, stderr, env} = context.environment;
  if (isYes(env.IMGCTL_ASSUME_YES)) return true;
  if (!stdin.isTTY || !stderr.isTTY) {
    throw new ImgctlError('Usage', `would ask "${question}"; pass ${answeredBy}`);
  }
  const prompt = createInterface({input: stdin, output: stderr, terminal: false});
  try {
    for (const line of plan) stderr.write(`${line}\n`);
    for (;;) {
      const answer = await ask(prompt, `${question} [y/N] `, context.signal);
      if (['y', 'yes'].includes(answer)) return true;
      if (['', 'n', 'no'].includes(answer)) return false;
      stderr.write('Please enter "y", "yes", "n" or "no".\n');
    }
  } finally {
    prompt.close();
  }
}

async function ask(
  prompt: ReturnType<typeof createInterface>,
  text: string,
  signal: AbortSignal,
): Promise<string> {
  const closed = new Promise<string>((resolve) => prompt.once('close', () => resolve('n')));
  const answered = prompt.question(text, {signal}).catch(() => 'n');
  return (await Promise.race([answered, closed])).trim().toLowerCase();
}
