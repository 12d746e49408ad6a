/**
 * The short way for commands that only read. It is the same code as the long way, cut off where that code would load more
 * (scripts/build.ts): whoever comes to such a place, or fails, is sent the long way from the beginning, so that there is one
 * place for every word of refusal. Nothing is said before the answer is whole, and nothing is written but what was said.
 */

import type {CommandMap} from './command-map.ts';
import type {ProgramName} from './context-flags.ts';
import {dispatch} from './dispatch.ts';
import {processEnvironment} from './environment.ts';
import {splitGlobals} from './global-flags.ts';
import {HeldOutput} from './held-output.ts';
import {RunLog} from './run-log.ts';
import {versionText} from './version-text.ts';
import {watchOutput} from './watch-output.ts';

/** Whether it was done; otherwise nothing has happened, and the long way is to be gone. */
export async function quickMain(
  commands: CommandMap,
  program: Exclude<ProgramName, 'importctl'>,
  argv: readonly string[],
): Promise<boolean> {
  const held = new HeldOutput();
  let status: number;
  try {
    status = await run(commands, program, argv, held);
  } catch {
    return false;
  }
  const rest = held.release();
  if (rest.length > 0) {
    watchOutput(program);
    for (const {descriptor, bytes} of rest) (descriptor === 1 ? process.stdout : process.stderr).write(bytes);
  }
  process.exitCode ||= status;
  return true;
}

/** Throws whatever stands in the way. */
async function run(
  commands: CommandMap,
  program: ProgramName,
  argv: readonly string[],
  held: HeldOutput,
): Promise<number> {
  const real = processEnvironment();
  const {env, uid, homeDirectory} = real;
  const environment = {
    ...{env, uid, homeDirectory, ...held.streams()},
    get stdin() {
      return real.stdin;
    },
    get cwd() {
      return real.cwd;
    },
  };
  const {globals, version, rest} = splitGlobals(argv);
  if (version) {
    environment.stdout.write(`${versionText(program, environment, globals)}\n`);
    return 0;
  }
  const log = new RunLog(environment, program);
  // Records name the place in the program where they come from.
  if (globals.help || globals.verbose || log.log.isWritten('debug') || !commands.find(program, rest))
    throw new Error('not for the quick commands');
  const {signal} = new AbortController();
  return dispatch({commands, program, environment, globals, rest, signal, log}, (_command, flags) => {
    if (flags.verbose || flags.help) throw new Error('not for the quick commands');
  });
}
