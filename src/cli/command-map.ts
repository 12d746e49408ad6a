/** Finding a command by what was typed, under each of the program's names. */

import {nearNames} from '../manifest/near-names.ts';
import type {CommandDefinition, CommandFamily} from './command.ts';
import type {ProgramName} from './context-flags.ts';

export interface CommandEntry {
  family: CommandFamily;
  aliases?: readonly string[];
  /** Called when the command is used; keeps start-up small. */
  load(): Promise<{default: CommandDefinition}>;
}

export class CommandMap {
  readonly #entries: Readonly<Record<string, CommandEntry>>;

  constructor(entries: Readonly<Record<string, CommandEntry>>) {
    this.#entries = entries;
  }

  /** The old names have only what the old program had (design.md §1). */
  ids(program: ProgramName): string[] {
    const belongs = ([, entry]: [string, CommandEntry]): boolean =>
      program === 'imgctl' || entry.family === program;
    return Object.entries(this.#entries)
      .filter(belongs)
      .map(([id]) => id);
  }

  /** The command that the first words name, and how many words that took. */
  find(program: ProgramName, words: readonly string[]): {id: string; words: number} | undefined {
    const [first = '', second = ''] = words;
    for (const id of this.ids(program)) {
      if (id === first || this.#entries[id]?.aliases?.includes(first)) return {id, words: 1};
      if (id === `${first} ${second}`) return {id, words: 2};
    }
    return undefined;
  }

  async load(id: string): Promise<CommandDefinition> {
    const entry = this.#entries[id];
    if (!entry) throw new Error(`no command "${id}"`);
    return (await entry.load()).default;
  }

  /** The nearest command name, at most two edits away. */
  suggest(program: ProgramName, typed: string): string | undefined {
    return nearNames(typed, this.ids(program))[0];
  }
}
