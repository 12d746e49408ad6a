/** From the words behind the global options to the answer: the command is found, its arguments read, and it is run. */

import {ImgctlError} from '../errors.ts';
import {withPlainSwitches} from './boolean-values.ts';
import type {CommandDefinition} from './command.ts';
import type {CommandMap} from './command-map.ts';
import {CommandContext} from './context.ts';
import type {ContextFlags, ProgramName} from './context-flags.ts';
import type {Environment} from './environment.ts';
import {flagTable, parseFast} from './fast-path.ts';
import {type GlobalFlags, globalFlags, type ParsedInput} from './flags.ts';
import {watchJobControl} from './job-control.ts';
import type {JournalLines} from './journal-lines.ts';
import {jsonText, takeJsonForm} from './json-form.ts';
import {Output} from './output.ts';
import {hasColor, showAnswer} from './presentation.ts';
import {isJournal} from './progress/mode.ts';
import type {RunLog} from './run-log.ts';

export interface Invocation {
  commands: CommandMap;
  program: ProgramName;
  environment: Environment;
  globals: ContextFlags;
  /** What follows the global options: the command's words, then its arguments. */
  rest: string[];
  signal: AbortSignal;
  log: RunLog;
}

/** Resolves with the exit status. `noteCommand` is told which command it is, and its flags, as soon as they are known. */
export async function dispatch(
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
  return runCommand(invocation, definition, withJson(definition, input, flags), flags);
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

/** A command that has the flag itself looks there, wherever it was given. */
function withJson(definition: CommandDefinition, input: ParsedInput, {json}: ContextFlags): ParsedInput {
  if (!json || definition.parse || !('json' in definition.flags)) return input;
  return {...input, flags: {...input.flags, json: true}} as unknown as ParsedInput;
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
  const {program, environment, signal, log} = invocation;
  log.begin({globals: flags, args: [definition.id, ...input.args]});
  const output = new Output(environment, {
    subject: `${program} ${definition.id}`,
    quiet: flags.quiet === true,
    json: flags.json === true,
    color: hasColor({program, environment, flags}),
    journal: await journalFor(environment, program),
  });
  const context = new CommandContext({program, environment, flags, output, signal, log: log.log});
  const stopWatching = watchJobControl(context.progress);
  try {
    const value = await definition.run(context, input, invocation.commands);
    // A server has said already where it is.
    if (flags.json && value !== undefined && !definition.parse) output.data(jsonText(value, flags.jsonForm));
    else if (definition.draw) {
      // What is read page by page may be read for long.
      context.progress.close();
      await showAnswer(definition.draw(value, input, context), {program, environment, flags}, definition);
    }
    if (context.failure) throw context.failure;
    const status = definition.statusOf?.(value) ?? 0;
    if (status === 0 && flags.strict && output.warnings > 0) throw warned(output.warnings);
    return status;
  } finally {
    stopWatching();
    await context.close();
  }
}

/** All was done and told; --strict makes a failure of it (ux.md §7.2). */
function warned(count: number): ImgctlError {
  const what = count === 1 ? 'there was a warning' : `there were ${count} warnings`;
  return new ImgctlError('Warned', `${what}, which --strict makes a failure`);
}

/** Loaded where stderr leads to the journal only. */
async function journalFor(environment: Environment, program: ProgramName): Promise<JournalLines | undefined> {
  if (!isJournal(environment.env, 2)) return undefined;
  const {openJournal} = await import('./journal-lines.ts');
  return openJournal(environment, program);
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
