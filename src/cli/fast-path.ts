/**
 * The small parser for hot read commands: loading oclif costs more than a whole `list` (docs of the budget:
 * spec/dependencies.md, "Start-up budget"). It reads the same flag tables and gives up (undefined) on anything
 * that is not plainly right, so that every refusal is worded by one parser.
 */

import type {CommandDefinition} from './command.ts';
import type {ProgramName} from './context-flags.ts';
import {type FlagDefinition, globalFlags, type ParsedInput} from './flags.ts';

type Value = string | boolean | string[];

export function parseFast(
  definition: CommandDefinition,
  args: readonly string[],
  program: ProgramName,
): ParsedInput | undefined {
  const table: Record<string, FlagDefinition> = flagTable(definition, program);
  const words = new Words(table, args);
  if (!words.read() || !fitsArguments(definition, words.positionals)) return undefined;
  const flags: Record<string, Value | undefined> = {};
  for (const [name, flag] of Object.entries(table)) {
    const value = words.values[name];
    if (flag.options && typeof value === 'string' && !flag.options.includes(value)) return undefined;
    flags[name] = value ?? (flag.kind === 'boolean' ? false : flag.kind === 'strings' ? [] : undefined);
  }
  return {flags, args: words.positionals} as ParsedInput;
}

/** Not `parseArgs` of Node: loading that takes as long as all else that `list` does. */
class Words {
  readonly values: Record<string, Value> = {};
  readonly positionals: string[] = [];
  readonly #table: Readonly<Record<string, FlagDefinition>>;
  readonly #args: readonly string[];
  #next = 0;

  constructor(table: Readonly<Record<string, FlagDefinition>>, args: readonly string[]) {
    this.#table = table;
    this.#args = args;
  }

  /** False as soon as there is any doubt. */
  read(): boolean {
    while (this.#next < this.#args.length) {
      const word = this.#args[this.#next++] ?? '';
      if (word === '--') {
        this.positionals.push(...this.#args.slice(this.#next));
        return true;
      }
      if (word.startsWith('--')) {
        if (!this.#takeLong(word.slice(2))) return false;
      } else if (word.startsWith('-') && word.length > 1) {
        if (!this.#takeLetters(word)) return false;
      } else {
        this.positionals.push(word);
      }
    }
    return true;
  }

  #takeLong(text: string): boolean {
    const at = text.indexOf('=');
    const name = at < 0 ? text : text.slice(0, at);
    const flag = Object.hasOwn(this.#table, name) ? this.#table[name] : undefined;
    if (!flag || flag.charOnly) return false;
    if (flag.kind === 'boolean') return at < 0 && this.#set(name, true);
    // oclif has its own way with values that begin with "-".
    if (at >= 0) return text[at + 1] !== '-' && this.#set(name, text.slice(at + 1));
    return this.#takeValue(name);
  }

  #takeLetters(word: string): boolean {
    for (let index = 1; index < word.length; index += 1) {
      const name = this.#nameOf(word[index]);
      if (name === undefined) return false;
      if (this.#table[name]?.kind !== 'boolean') {
        const value = word.slice(index + 1);
        if (value === '') return this.#takeValue(name);
        return !/[-=]/.test(value) && this.#set(name, value);
      }
      this.#set(name, true);
    }
    return true;
  }

  #takeValue(name: string): boolean {
    const value = this.#args[this.#next++];
    return value !== undefined && !this.#isPerhapsOption(name, value) && this.#set(name, value);
  }

  /** To sort backwards is no rarity: `-s -name` is plain, as long as "-n" is no option. */
  #isPerhapsOption(name: string, value: string): boolean {
    if (!value.startsWith('-')) return false;
    return name !== 'sort' || !/^-[a-z]{2}/.test(value) || this.#nameOf(value[1]) !== undefined;
  }

  #nameOf(letter: string | undefined): string | undefined {
    return Object.keys(this.#table).find((name) => this.#table[name]?.char === letter);
  }

  #set(name: string, value: string | boolean): true {
    const earlier = this.values[name];
    const isList = this.#table[name]?.kind === 'strings';
    this.values[name] = isList ? [...(Array.isArray(earlier) ? earlier : []), String(value)] : value;
    return true;
  }
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
