/**
 * The small parser for hot read commands: loading oclif costs more than a whole `list` (docs of the budget:
 * spec/dependencies.md, "Start-up budget"). It reads the same flag tables and gives up (undefined) on anything
 * that is not plainly right, so that every refusal is worded by one parser.
 */

import {parseArgs} from 'node:util';
import type {CommandDefinition} from './command.ts';
import type {ProgramName} from './context-flags.ts';
import {type FlagDefinition, globalFlags, type ParsedInput} from './flags.ts';

export function parseFast(
  definition: CommandDefinition,
  args: readonly string[],
  program: ProgramName,
): ParsedInput | undefined {
  const table: Record<string, FlagDefinition> = flagTable(definition, program);
  const options: Record<string, {type: 'boolean' | 'string'; short?: string; multiple?: boolean}> = {};
  for (const [name, flag] of Object.entries(table)) {
    options[name] = {
      type: flag.kind === 'boolean' ? 'boolean' : 'string',
      ...(flag.char && {short: flag.char}),
      ...(flag.kind === 'strings' && {multiple: true}),
    };
  }
  if (args.some(isDoubtful)) return undefined;
  try {
    const {values, positionals} = parseArgs({args: [...args], options, allowPositionals: true, strict: true});
    if (!fitsArguments(definition, positionals)) return undefined;
    const flags: Record<string, string | boolean | string[] | undefined> = {};
    for (const [name, flag] of Object.entries(table)) {
      const value = values[name] as string | boolean | string[] | undefined;
      if (flag.options && typeof value === 'string' && !flag.options.includes(value)) return undefined;
      flags[name] = value ?? (flag.kind === 'boolean' ? false : flag.kind === 'strings' ? [] : undefined);
    }
    return {flags, args: positionals} as ParsedInput;
  } catch {
    return undefined;
  }
}

/** oclif has its own way with values that begin with "-" and with "=" behind letters; Node takes a "-" for a letter. */
function isDoubtful(word: string): boolean {
  return /^--[^=]+=-/.test(word) || /^-[^-].*[-=]/.test(word);
}

/**
 * The flags that a command takes behind its name. Its own win over global ones, by name and by letter; imgadm takes
 * global options before the command only, but for the help (spec/imgadm.md §2).
 */
export function flagTable(
  definition: CommandDefinition,
  program: ProgramName = 'imgctl',
): Record<string, FlagDefinition> {
  const table: Record<string, FlagDefinition> = {...definition.flags};
  const letters = new Set(Object.values(table).map((flag) => flag.char));
  for (const [name, flag] of Object.entries(globalFlags) as [string, FlagDefinition][]) {
    if (name in table || (program === 'imgadm' && name !== 'help')) continue;
    if (flag.char && letters.has(flag.char)) {
      const {char: _taken, ...longOnly} = flag;
      table[name] = longOnly;
    } else {
      table[name] = flag;
    }
  }
  return table;
}

function fitsArguments(definition: CommandDefinition, positionals: readonly string[]): boolean {
  const required = definition.args.filter((argument) => !argument.optional).length;
  const many = definition.args.at(-1)?.many === true;
  return positionals.length >= required && (many || positionals.length <= definition.args.length);
}
