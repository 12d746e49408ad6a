/**
 * One command line: finds the command, has its arguments parsed, runs it, and turns the outcome into output and an exit
 * status.
 */

import {ImgctlError} from '../errors.ts';
import type {CommandMap} from './command-map.ts';
import type {ProgramName} from './context-flags.ts';
import {dispatch, type Invocation} from './dispatch.ts';
import {processEnvironment} from './environment.ts';
import {exitStatusOf, isUsage} from './exit-codes.ts';
import type {GlobalFlags} from './flags.ts';
import {splitGlobals} from './global-flags.ts';
import {asInterrupted, commandLine, stoppedLines} from './interruption.ts';
import {watchJobControl} from './job-control.ts';
import {openJournal} from './journal-lines.ts';
import {formOf, jsonText, takeJsonForm} from './json-form.ts';
import {Output} from './output.ts';
import {dressError, hasColor, showAnswer} from './presentation.ts';
import {errorReport} from './report-error.ts';
import {RunLog} from './run-log.ts';
import {watchOutput, watchSignals} from './signals.ts';

interface Invocation {
  commands: CommandMap;
  program: ProgramName;
  environment: Environment;
  globals: ContextFlags;
  /** What follows the global options: the command's words, then its arguments. */
  rest: string[];
  interrupt: AbortController;
  log: RunLog;
}

/** Runs one command line; resolves with the exit status. */
export async function main(commands: CommandMap, program: ProgramName, argv: string[]): Promise<number> {
  const environment = processEnvironment();
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

async function dispatch(
  invocation: Invocation,
  noteCommand: (name: string | undefined, flags: Partial<GlobalFlags>) => void,
): Promise<number> {
  const {commands, program, rest, globals} = invocation;
  if (rest[0] === 'help') noteCommand('help', {});
  if (globals.help || rest[0] === 'help') return showHelp(invocation, globals.help ? rest : rest.slice(1));
  if (rest.length === 0) {
    await showHelp(invocation, []);
    if (globals['json-error']) throw new ImgctlError('NoCommand', 'no command given');
    return 1;
  }
  const found = commands.find(program, rest);
  noteCommand(found?.id ?? rest[0], {});
  if (!found) throw unknownCommand(commands, program, rest[0] ?? '');
  const definition = await commands.load(found.id);
  const args = rest.slice(found.words);
  const {words, form} = program === 'imgctl' && !definition.parse ? takeJsonForm(args) : {words: args};
  const input = await parse(definition, words, {program, globals});
  const flags = {...globals, ...pickGlobals(definition, input), ...(form && {jsonForm: form})};
  noteCommand(found.id, flags);
  if (flags.help) return showHelp({...invocation, globals: flags}, [found.id]);
  return runCommand(invocation, definition, input, flags);
}

async function parse(
  definition: CommandDefinition,
  args: string[],
  {program, globals}: Pick<Invocation, 'program' | 'globals'>,
): Promise<ParsedInput> {
  if (definition.parse)
    return definition.parse([...jsonWords(globals), ...(globals.quiet ? ['-q'] : []), ...args]);
  const words = program === 'imgadm' ? args : withPlainSwitches(flagTable(definition, program), args);
  const quick = parseFast(definition, words, program);
  if (quick) return quick;
  const {parseWithOclif} = await import('./oclif-adapter.ts');
  return parseWithOclif(definition, words, program);
}

/** As the importctl family reads them behind its verbs. */
function jsonWords({json, jsonForm}: ContextFlags): string[] {
  if (!json) return [];
  return [jsonForm === undefined ? '-j' : `--json=${jsonForm}`];
}

async function runCommand(
  invocation: Invocation,
  definition: CommandDefinition,
  input: ParsedInput,
  flags: ContextFlags,
): Promise<number> {
  const {program, environment, interrupt, log} = invocation;
  log.begin({globals: flags, args: [definition.id, ...input.args]});
  const output = new Output(environment, {
    subject: `${program} ${definition.id}`,
    quiet: flags.quiet === true,
    json: flags.json === true,
    color: hasColor({program, environment, flags}),
    journal: openJournal(environment, program),
  });
  const {signal} = interrupt;
  const context = new CommandContext({program, environment, flags, output, signal, log: log.log});
  const stopWatching = watchJobControl(context.progress);
  try {
    const value = await definition.run(context, input, invocation.commands);
    if (flags.json && !definition.parse) output.data(jsonText(value, flags.jsonForm));
    else if (definition.draw) {
      // What is read page by page may be read for long.
      context.progress.close();
      await showAnswer(definition.draw(value, input, context), {program, environment, flags}, definition);
    }
    if (context.failure) throw context.failure;
    return definition.statusOf?.(value) ?? 0;
  } finally {
    stopWatching();
    await context.close();
  }
}

function pickGlobals(definition: CommandDefinition, input: ParsedInput): ContextFlags {
  const values: Record<string, unknown> = input.flags;
  const entries = Object.entries(values).filter(
    ([name, value]) =>
      (name in globalFlags || (name === 'scope' && definition.family === 'importctl')) &&
      !definition.flags[name]?.shadows &&
      value !== undefined &&
      value !== false,
  );
  return Object.fromEntries(entries);
}

async function showHelp(invocation: Invocation, words: string[]): Promise<number> {
  const {commandHelp} = await import('./help.ts');
  const {commands, program, environment, globals} = invocation;
  const columns = Math.min(environment.stdout.columns ?? 80, 100);
  const flags = words.includes('--no-pager') ? {...globals, 'no-pager': true} : globals;
  const showText = (text: string): Promise<void> =>
    showAnswer(text.trimEnd(), {program, environment, flags}, {isPaged: true});
  if (words.length === 0) {
    const {overview} = await import('./overview.ts');
    await showText(await overview(commands, program, columns));
    return 0;
  }
  const found = commands.find(program, words);
  if (!found) throw unknownCommand(commands, program, words.join(' '));
  await showText(commandHelp(program, await commands.load(found.id), columns));
  return 0;
}

function unknownCommand(commands: CommandMap, program: ProgramName, name: string): ImgctlError {
  if (program === 'imgctl' && name === 'pull-oci')
    return new ImgctlError('NotSupported', 'pull-oci: images of OCI registries are not supported');
  const near = commands.suggest(program, name);
  return new ImgctlError('UnknownCommand', `unknown command: "${name}"`, {
    hint: near ? `did you mean: ${program} ${near}` : `all commands: ${program} help`,
    details: {commands: commands.ids(program)},
  });
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
