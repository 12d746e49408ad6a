/**
 * One command line: finds the command, has its arguments parsed, runs it, and turns the outcome into output and an exit
 * status.
 */

import {ImgctlError} from '../errors.ts';
import type {CommandMap} from './command-map.ts';
import type {ProgramName} from './context-flags.ts';
import {dispatch, type Invocation} from './dispatch.ts';
import {dressError} from './dress-error.ts';
import {type Environment, processEnvironment} from './environment.ts';
import {exitStatusOf, isUsage} from './exit-codes.ts';
import type {GlobalFlags} from './flags.ts';
import {splitGlobals} from './global-flags.ts';
import {asInterrupted, commandLine, stoppedLines} from './interruption.ts';
import {formOf} from './json-form.ts';
import {errorReport} from './report-error.ts';
import {RunLog} from './run-log.ts';
import {watchSignals} from './signals.ts';
import {watchOutput} from './watch-output.ts';

/** Runs one command line; resolves with the exit status. */
export async function main(commands: CommandMap, program: ProgramName, argv: string[]): Promise<number> {
  const environment = await serviceEnvironment(program);
  const interrupt = new AbortController();
  watchSignals(interrupt);
  watchOutput(program);
  if (program === 'importctl') {
    const {importctlMain} = await import('./importctl/front.ts');
    return importctlMain(argv, {commands, environment, signal: interrupt.signal});
  }
  const log = new RunLog(environment, program);
  let command: string | undefined;
  let flags: Partial<GlobalFlags> = {};
  try {
    const split = splitGlobals(argv);
    flags = split.globals;
    if (split.version) {
      const {versionText} = await import('./version-text.ts');
      environment.stdout.write(`${versionText(program, environment, split.globals)}\n`);
      return 0;
    }
    const invocation: Invocation = {
      commands,
      program,
      environment,
      globals: {...split.globals, ...(split.jsonForm && {jsonForm: split.jsonForm})},
      rest: split.rest,
      signal: interrupt.signal,
      log,
    };
    const status = await dispatch(invocation, (name, parsed) => {
      command = name;
      flags = {...flags, ...parsed};
    });
    log.end(command, status);
    return status;
  } catch (error) {
    const shown = interrupt.signal.aborted
      ? asInterrupted(error, interrupt.signal, commandLine(program, argv, error))
      : await asExplained(error, commands, program, command);
    log.begin({globals: flags, args: argv});
    const {requestId} = log.log;
    const withStack = log.log.isWritten('debug');
    const asJson = wantsJson(program, flags, argv);
    const isPlain = program === 'imgctl' && !asJson && shown instanceof ImgctlError;
    const text =
      (isPlain ? stoppedLines(shown) : undefined) ??
      errorReport(shown, {program, command, asJson, withStack, requestId});
    // The error comes last: with -E it is the last line.
    const status = exitStatusOf(shown);
    log.end(command, status);
    environment.stderr.write(`${dressError(text, {environment, program, flags})}\n`);
    return status;
  }
}

/** Under systemd what is told goes into the journal with fields; nobody compares what the old names say there. */
async function serviceEnvironment(program: ProgramName): Promise<Environment> {
  const environment = processEnvironment();
  if (environment.env.JOURNAL_STREAM === undefined || program !== 'imgctl') return environment;
  const {withJournal} = await import('./journal.ts');
  return withJournal(environment, program);
}

/** -j and -E count even when the parser gave up before it came to them. imgadm knows -E only, before the command. */
function wantsJson(program: ProgramName, flags: Partial<GlobalFlags>, argv: readonly string[]): boolean {
  if (flags['json-error']) return true;
  const isImgadm = program === 'imgadm';
  const end = argv.findIndex((word) => word === '--' || (isImgadm && !word.startsWith('-')));
  const options = end < 0 ? argv : argv.slice(0, end);
  if (isImgadm) return options.includes('-E');
  return (
    flags.json === true || options.some((word) => /^(-E|-j|--json)$/.test(word) || formOf(word) !== undefined)
  );
}

/** imgadm says no more than that, and what reads it may compare. */
async function asExplained(
  error: unknown,
  commands: CommandMap,
  program: ProgramName,
  command: string | undefined,
): Promise<unknown> {
  if (program === 'imgadm' || !isUsage(error)) return error;
  const {asUsageMistake} = await import('./usage-mistake.ts');
  const isKnown = command !== undefined && commands.ids(program).includes(command);
  return asUsageMistake(error, isKnown ? await commands.load(command) : undefined);
}
