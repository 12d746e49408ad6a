/**
 * What may stand where on a command line, as the completion scripts need it: made from the command definitions, with a
 * kind of value for every placeholder.
 */

import {knownFields} from '../../manifest/fields.ts';
import type {CommandSet} from '../command.ts';
import type {ProgramName} from '../context-flags.ts';
import {type FlagDefinition, type FlagTable, globalFlags} from '../flags.ts';
import {importctlFlags} from '../importctl/flags.ts';
import type {LiveKind} from './live-values.ts';

/** What a value is: words known here, values asked of `imgctl completion --values`, a path, or anything. */
export type ValueKind =
  | {words: readonly string[]}
  | {live: readonly LiveKind[]}
  | 'files'
  | 'directories'
  | 'anything';

export interface CompletedOption {
  long: string | undefined;
  short: string | undefined;
  summary: string;
  /** Undefined for switches. */
  value: ValueKind | undefined;
}

export interface CompletedCommand {
  id: string;
  /** The id and the other names. */
  names: readonly string[];
  summary: string;
  /** Its own; the general ones come with them in imgctl, not in imgadm. */
  options: readonly CompletedOption[];
  arguments: readonly ValueKind[];
  /** The last argument may come again. */
  many: boolean;
}

export interface Grammar {
  program: ProgramName;
  globalOptions: readonly CompletedOption[];
  commands: readonly CompletedCommand[];
}

const fields = {words: knownFields.map(({name}) => name)};
const filters = {words: knownFields.map(({name}) => `${name}=`)};
const sources = {live: ['sources']} as const;

/** By placeholder. */
const kinds: Readonly<Record<string, ValueKind>> = {
  ...Object.fromEntries(
    ['FILE', 'OUT', 'PATH', 'MANIFEST', 'SCRIPT'].map((name) => [name, 'files'] as const),
  ),
  ...Object.fromEntries(
    ['DIR', 'DIRECTORY', 'NORMAL', 'EARLY', 'LATE'].map((name) => [name, 'directories'] as const),
  ),
  'FIELD,...': fields,
  FILTER: filters,
  'FIELD=VALUE': filters,
  POOL: {live: ['pools']},
  SERVER: sources,
  URL: sources,
  MACHINE: {live: ['instances']},
  ID: {live: ['transfers']},
  BOOL: {words: ['yes', 'no']},
  COMPRESSION: {words: ['none', 'gzip', 'bzip2', 'xz']},
  FORMAT: {words: ['uncompressed', 'xz', 'gzip', 'bzip2', 'zstd']},
  TYPE: {words: ['imgapi', 'dsapi']},
  SHELL: {words: ['bash', 'zsh', 'fish']},
};

/** By command and placeholder, where that says more. */
const kindsOfCommands: Readonly<Record<string, ValueKind>> = {
  'pull-tar URL': 'anything',
  'pull-raw URL': 'anything',
  'pull-tar MODE': {words: ['no', 'checksum', 'signature']},
  'pull-raw MODE': {words: ['no', 'checksum', 'signature']},
  'list-images MODE': {words: ['pretty', 'short', 'off']},
  'list-transfers MODE': {words: ['pretty', 'short', 'off']},
  'serve MODE': {words: ['public', 'private']},
  'export-tar NAME': {live: ['local']},
  'export-raw NAME': {live: ['local']},
};

/** Commands whose image is one that sources offer. */
const offering = new Set(['import', 'show']);

export async function grammarOf(commands: CommandSet, program: ProgramName): Promise<Grammar> {
  const ids = commands.ids(program);
  const completed: CompletedCommand[] = [];
  for (const id of ids) {
    const definition = await commands.load(id);
    const kindOf = (placeholder: string): ValueKind => valueKind({program, id, placeholder, ids});
    completed.push({
      id,
      names: [id, ...(definition.aliases ?? [])],
      summary: definition.summary,
      options: optionsOf(definition.flags, kindOf),
      arguments: definition.args.map(({name}) => kindOf(name)),
      many: definition.args.at(-1)?.many === true,
    });
  }
  const anywhere = (placeholder: string): ValueKind => kinds[placeholder] ?? 'anything';
  return {program, globalOptions: optionsOf(generalFlags(program), anywhere), commands: completed};
}

/** What may stand before the verb: with importctl every option there is. */
function generalFlags(program: ProgramName): FlagTable {
  return program === 'importctl' ? {help: globalFlags.help, ...importctlFlags} : globalFlags;
}

function valueKind(place: {
  program: ProgramName;
  id: string;
  placeholder: string;
  ids: readonly string[];
}): ValueKind {
  const {program, id, placeholder} = place;
  if (placeholder === 'COMMAND') return {words: place.ids};
  if (placeholder === 'IMAGE' || placeholder === 'UUID') {
    const isOffered = offering.has(id) || placeholder === 'UUID';
    const live: LiveKind[] = [isOffered ? 'offered' : 'installed'];
    // imgadm takes UUIDs only, and servers know no names.
    if (program === 'imgctl' && placeholder === 'IMAGE')
      live.push(isOffered ? 'offered-names' : 'installed-names');
    return {live};
  }
  return kindsOfCommands[`${id} ${placeholder}`] ?? kinds[placeholder] ?? 'anything';
}

function optionsOf(
  table: Readonly<Record<string, FlagDefinition>>,
  kindOf: (placeholder: string) => ValueKind,
): CompletedOption[] {
  return Object.entries(table)
    .filter(([, flag]) => !flag.hidden)
    .map(([name, flag]) => ({
      long: flag.charOnly ? undefined : `--${name}`,
      short: flag.char && `-${flag.char}`,
      summary: flag.summary,
      value: flag.kind === 'boolean' ? undefined : optionKind(flag, kindOf),
    }));
}

function optionKind(flag: FlagDefinition, kindOf: (placeholder: string) => ValueKind): ValueKind {
  return flag.options ? {words: flag.options} : kindOf(flag.value ?? '');
}
