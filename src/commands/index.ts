/** The explicit command map: which commands there are, under which program name, and where they are. */

import type {CommandDefinition, CommandFamily} from '../cli/command.ts';

type ProgramName = 'imgctl' | 'imgadm' | 'importctl';

interface Entry {
  family: CommandFamily;
  aliases?: readonly string[];
  load(): Promise<{default: CommandDefinition}>;
}

const entries: Readonly<Record<string, Entry>> = {
  avail: {family: 'imgadm', aliases: ['available'], load: () => import('./avail.ts')},
  clone: {family: 'imgctl', load: () => import('./clone.ts')},
  delete: {family: 'imgadm', aliases: ['destroy'], load: () => import('./delete.ts')},
  get: {family: 'imgadm', aliases: ['info'], load: () => import('./get.ts')},
  import: {family: 'imgadm', load: () => import('./import.ts')},
  install: {family: 'imgadm', load: () => import('./install.ts')},
  list: {family: 'imgadm', load: () => import('./list.ts')},
  'manifest check': {family: 'imgctl', load: () => import('./manifest-check.ts')},
  'manifest upgrade': {family: 'imgctl', load: () => import('./manifest-upgrade.ts')},
  publish: {family: 'imgadm', load: () => import('./publish.ts')},
  serve: {family: 'imgctl', load: () => import('./serve.ts')},
  show: {family: 'imgadm', load: () => import('./show.ts')},
  sources: {family: 'imgadm', load: () => import('./sources.ts')},
};

/** The old names have only what the old program had (design.md §1). */
function belongsTo(program: ProgramName, entry: Entry): boolean {
  return program === 'imgctl' || entry.family === program;
}

export function commandIds(program: ProgramName): string[] {
  return Object.keys(entries).filter((id) => belongsTo(program, entries[id] as Entry));
}

/** The command that the first words name, and how many words that took. */
export function findCommandName(
  program: ProgramName,
  words: readonly string[],
): {id: string; words: number} | undefined {
  const [first = '', second = ''] = words;
  for (const [id, entry] of Object.entries(entries)) {
    if (!belongsTo(program, entry)) continue;
    if (id === first || entry.aliases?.includes(first)) return {id, words: 1};
    if (id === `${first} ${second}`) return {id, words: 2};
    if (id === first.replace(':', ' ')) return {id, words: 1};
  }
  return undefined;
}

export async function loadCommand(id: string): Promise<CommandDefinition> {
  const entry = entries[id];
  if (!entry) throw new Error(`no command "${id}"`);
  return (await entry.load()).default;
}

/** The nearest command name, at most two edits away. */
export function suggestCommand(program: ProgramName, typed: string): string | undefined {
  const scored = commandIds(program).map((id) => ({id, distance: editDistance(typed, id)}));
  const best = scored.sort((a, b) => a.distance - b.distance)[0];
  return best && best.distance <= 2 ? best.id : undefined;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({length: b.length + 1}, (_, index) => index);
  for (let i = 1; i <= Math.min(a.length, 64); i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next[j] = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substituted);
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
