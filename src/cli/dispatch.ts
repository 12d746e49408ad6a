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
import {Output} from './output.ts';
import type {RunLog} from './run-log.ts';

export interface Invocation {
  commands: CommandMap;
  program: ProgramName;
  environment: Environment;
  globals: Partial<GlobalFlags>;
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
  const input = await parse(definition, args, {program, globals});
  const flags = {...globals, ...pickGlobals(definition, input)};
  noteCommand(found.id, flags);
  if (flags.help) return showHelp(invocation, [found.id]);
  return runCommand(invocation, definition, input, flags);
}

async function parse(
  definition: CommandDefinition,
  args: string[],
  {program, globals}: Pick<Invocation, 'program' | 'globals'>,
): Promise<ParsedInput> {
  if (definition.parse)
    return definition.parse([...(globals.json ? ['-j'] : []), ...(globals.quiet ? ['-q'] : []), ...args]);
  const words = program === 'imgadm' ? args : withPlainSwitches(flagTable(definition, program), args);
  const quick = parseFast(definition, words, program);
  if (quick) return quick;
  const {parseWithOclif} = await import('./oclif-adapter.ts');
  return parseWithOclif(definition, words, program);
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
  });
  const context = new CommandContext({program, environment, flags, output, signal, log: log.log});
  try {
    const value = await definition.run(context, input, invocation.commands);
    // A server has said already where it is.
    if (flags.json && value !== undefined && !definition.parse) output.data(JSON.stringify(value, null, 2));
    else if (definition.draw) output.data(definition.draw(value, input, context));
    if (context.failure) throw context.failure;
    const status = definition.statusOf?.(value) ?? 0;
    if (status === 0 && flags.strict && output.warnings > 0) throw warned(output.warnings);
    return status;
  } finally {
    await context.close();
  }
}

/** All was done and told; --strict makes a failure of it (ux.md §7.2). */
function warned(count: number): ImgctlError {
  const what = count === 1 ? 'there was a warning' : `there were ${count} warnings`;
  return new ImgctlError('Warned', `${what}, which --strict makes a failure`);
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
  const {commands, program, environment} = invocation;
  const columns = Math.min(environment.stdout.columns ?? 80, 100);
  if (words.length === 0) {
    const {overview} = await import('./overview.ts');
    environment.stdout.write(await overview(commands, program, columns));
    return 0;
  }
  const found = commands.find(program, words);
  if (!found) throw unknownCommand(commands, program, words.join(' '));
  environment.stdout.write(commandHelp(program, await commands.load(found.id), columns));
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
