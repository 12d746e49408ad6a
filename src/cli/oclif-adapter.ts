/**
 * Command definitions as oclif commands: its parser reads the arguments of every command line that the fast path
 * does not take. What it refuses is worded as imgadm does (spec/imgadm.md §2, §6).
 */

import {Command, Errors, Flags, type Interfaces, Parser} from '@oclif/core';
import {ImgctlError} from '../errors.ts';
import type {CommandDefinition} from './command.ts';
import type {ProgramName} from './context-flags.ts';
import {flagTable} from './fast-path.ts';
import type {FlagDefinition, ParsedInput} from './flags.ts';
import {checkOption, missingValue} from './global-flags.ts';

/** An oclif class of the definition, for oclif's own tools; running it is `main.ts`'s business. */
export function oclifCommand(definition: CommandDefinition): typeof Command {
  return class extends Command {
    static override readonly id = definition.id.replaceAll(' ', ':');
    static override readonly summary = definition.summary;
    static override readonly description = definition.description ?? '';
    static override readonly examples = [...definition.examples];
    static override readonly flags = oclifFlags(flagTable(definition));
    static override readonly strict = false;

    async run(): Promise<void> {
      await this.parse(this.constructor as typeof Command);
    }
  } as unknown as typeof Command;
}

function oclifFlags(table: Record<string, FlagDefinition>): Interfaces.FlagInput {
  const flags: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(table)) {
    const common = {
      description: flag.summary,
      ...(flag.char && {char: flag.char as Interfaces.AlphabetLowercase}),
    };
    if (flag.kind === 'boolean') flags[name] = Flags.boolean({...common, default: false});
    // Of a flag that is given twice the last counts (imgadm), which oclif would refuse.
    else flags[name] = Flags.string({...common, multiple: true, multipleNonGreedy: true});
  }
  return flags as Interfaces.FlagInput;
}

export async function parseWithOclif(
  definition: CommandDefinition,
  argv: readonly string[],
  program: ProgramName,
): Promise<ParsedInput> {
  const table = flagTable(definition, program);
  let parsed: {
    flags: Record<string, unknown>;
    raw: {type: string; input?: unknown}[];
    nonExistentFlags?: string[];
  };
  try {
    parsed = await Parser.parse([...argv], {
      flags: oclifFlags(table),
      args: {},
      strict: false,
      '--': true,
    });
  } catch (error) {
    throw asUsage(error, table, argv);
  }
  const unknown = parsed.nonExistentFlags?.[0];
  if (unknown) throw new ImgctlError('UnknownOption', `unknown option: "${unknown.split('=')[0]}"`);
  // Not `argv`: that puts words that come twice side by side.
  const args = parsed.raw.filter(({type}) => type === 'arg').map(({input}) => String(input));
  if (!parsed.flags.help) checkArguments(definition, args);
  return {flags: completeFlags(table, parsed.flags), args} as ParsedInput;
}

function completeFlags(
  table: Record<string, FlagDefinition>,
  values: Record<string, unknown>,
): Record<string, unknown> {
  const flags: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(table)) {
    const given = values[name];
    const value = flag.kind === 'string' && Array.isArray(given) ? given.at(-1) : given;
    if (typeof value === 'string') checkOption(name, flag, value);
    flags[name] = value ?? (flag.kind === 'strings' ? [] : flag.kind === 'boolean' ? false : undefined);
  }
  return flags;
}

function checkArguments(definition: CommandDefinition, args: readonly string[]): void {
  const required = definition.args.filter((argument) => !argument.optional).length;
  const many = definition.args.at(-1)?.many === true;
  if (args.length > 0 && definition.args.length === 0) {
    throw new ImgctlError('Usage', `unexpected ${definition.surplusWord ?? 'args'}: ${args.join(' ')}`);
  }
  if (args.length < required || (!many && args.length > definition.args.length)) {
    throw new ImgctlError('Usage', `incorrect number of args (${args.length}): "${args.join(' ')}"`);
  }
}

function asUsage(
  error: unknown,
  table: Record<string, FlagDefinition>,
  argv: readonly string[],
): ImgctlError {
  if (error instanceof ImgctlError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const expectsValue = /^Flag --(\S+) expects a value/.exec(message);
  if (expectsValue) {
    const letter = table[expectsValue[1] ?? '']?.char;
    // Named as it was typed (spec/imgadm.md §2).
    return missingValue(letter && argv.includes(`-${letter}`) ? `-${letter}` : `--${expectsValue[1]}`);
  }
  const unknown = /^Nonexistent flags?: (\S+?)(?:, |\s|$)/.exec(message);
  if (unknown) return new ImgctlError('UnknownOption', `unknown option: "${unknown[1]}"`);
  if (error instanceof Errors.CLIError) return new ImgctlError('Usage', message.split('\n')[0] ?? message);
  return new ImgctlError('InternalError', message, {cause: error});
}
