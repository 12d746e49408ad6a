/** How a run looks: colours of its messages, and where its answer is shown. */

import type {ContextFlags, ProgramName} from './context-flags.ts';
import type {Environment} from './environment.ts';
import {escapeRest, type TableLook} from './table.ts';
import {ellipsisFor, wantsColor} from './terminal-style.ts';

/** Who runs, where, and with which options. */
export interface Look {
  program: ProgramName;
  environment: Environment;
  flags: ContextFlags;
}

/** The answer, in a pager where it is long and may be; the old names never had one. */
export async function showAnswer(
  text: string,
  {program, environment, flags}: Look,
  {isPaged}: {isPaged?: boolean},
): Promise<void> {
  if (text === '') return;
  const safe = escapeRest(text);
  const isAllowed = isPaged === true && program === 'imgctl' && flags['no-pager'] !== true;
  if (!isAllowed || !environment.stdout.isTTY) {
    environment.stdout.write(`${safe}\n`);
    return;
  }
  const {page} = await import('./pager.ts');
  await page(`${safe}\n`, environment);
}

/** What tables may do on stdout; the old names draw them as they always did. */
export function tableLook({program, environment: {env, stdout}, flags}: Look): TableLook {
  return {
    terminalColumns: stdout.isTTY ? stdout.columns : undefined,
    ellipsis: ellipsisFor(env),
    color: program === 'imgctl' && wantsColor(flags.color, env, stdout.isTTY === true),
  };
}

/** Whether messages are coloured; the old names look as they always did. */
export function hasColor({program, environment: {env, stderr}, flags}: Look): boolean {
  return program === 'imgctl' && wantsColor(flags.color, env, stderr.isTTY === true);
}
