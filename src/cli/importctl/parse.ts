/**
 * Arguments as importctl reads them: by getopt_long's rules, options and words in any order, long options also
 * abbreviated; of several that say the same the last counts (spec/importctl.md §2).
 */

import type {ExportCompression, VerifyMode} from '../../engine/engine.ts';
import {ImgctlError} from '../../errors.ts';
import type {ImageClass} from '../../import1/image-class.ts';
import {isImageClass} from '../../import1/image-class.ts';
import {type FlagDefinition, globalFlags} from '../flags.ts';
import type {Scope} from '../paths.ts';
import {importctlFlags} from './flags.ts';

export interface ImportctlSettings {
  imageClass: ImageClass | undefined;
  verify: VerifyMode;
  force: boolean;
  readOnly: boolean;
  /** Undefined: by the class. */
  keepDownload: boolean | undefined;
  /** Undefined: by the name of the file. */
  format: ExportCompression | undefined;
  /** `lines` is ours. */
  json: 'pretty' | 'short' | 'lines' | 'auto' | 'off';
  legend: boolean;
  quiet: boolean;
  /** Whose images; undefined: by who calls. */
  scope: Scope | undefined;
  help: boolean;
  version: boolean;
}

export interface ParsedArguments {
  settings: ImportctlSettings;
  words: string[];
  /** imgctl's general options that were among them, by name. */
  globals: Record<string, string | boolean>;
}

const exportCompressions: readonly ExportCompression[] = ['uncompressed', 'xz', 'gzip', 'bzip2', 'zstd'];
const trueWords = new Set(['1', 'yes', 'y', 'true', 't', 'on']);
const falseWords = new Set(['0', 'no', 'n', 'false', 'f', 'off']);

interface Occurrence {
  name: string;
  value: string | undefined;
}

/** `program` is the name in getopt's own messages; under `imgctl` its general options are known too. */
export function parseImportctl(argv: readonly string[], program: string): ParsedArguments {
  const table: Record<string, FlagDefinition> = {
    ...(program === 'imgctl' ? globalFlags : {help: globalFlags.help}),
    ...importctlFlags,
    version: {kind: 'boolean', summary: 'print the version'},
  };
  const {found, words} = scan(argv, table, program);
  const settings: ImportctlSettings = {
    imageClass: undefined,
    verify: 'signature',
    force: false,
    readOnly: false,
    keepDownload: undefined,
    format: undefined,
    json: 'off',
    legend: true,
    quiet: false,
    scope: undefined,
    help: false,
    version: false,
  };
  const globals: Record<string, string | boolean> = {};
  for (const {name, value} of found) {
    const apply = appliers[name];
    if (apply) apply(settings, value ?? '');
    else globals[name] = value ?? true;
  }
  if (program !== 'imgctl' && settings.json === 'lines')
    throw usage('Unknown argument to --json= switch: lines');
  return {settings, words, globals};
}

const appliers: Record<string, (settings: ImportctlSettings, value: string) => void> = {
  'class-machine': (settings) => setClass(settings, 'machine'),
  'class-portable': (settings) => setClass(settings, 'portable'),
  'class-sysext': (settings) => setClass(settings, 'sysext'),
  'class-confext': (settings) => setClass(settings, 'confext'),
  class: (settings, value) => {
    if (!isImageClass(value)) throw usage(`Failed to parse --class= parameter: ${value}`);
    setClass(settings, value);
  },
  verify: (settings, value) => {
    settings.verify = parseVerify(value);
  },
  force: (settings) => {
    settings.force = true;
  },
  'read-only': (settings) => {
    settings.readOnly = true;
  },
  'keep-download': (settings, value) => {
    settings.keepDownload = parseBoolean(value);
  },
  'no-keep': (settings) => {
    settings.keepDownload = false;
  },
  format: (settings, value) => {
    const known = exportCompressions.find((candidate) => candidate === value);
    if (!known) throw usage(`Unknown format: ${value}`);
    settings.format = known;
  },
  json: (settings, value) => {
    if (value !== 'pretty' && value !== 'short' && value !== 'lines' && value !== 'off') {
      throw usage(`Unknown argument to --json= switch: ${value}`);
    }
    settings.json = value;
    if (value !== 'off') settings.legend = false;
  },
  'json-auto': (settings) => {
    settings.json = 'auto';
    settings.legend = false;
  },
  'no-legend': (settings) => {
    settings.legend = false;
  },
  quiet: (settings) => {
    settings.quiet = true;
  },
  system: (settings) => {
    settings.scope = 'system';
  },
  user: (settings) => {
    settings.scope = 'user';
  },
  help: (settings) => {
    settings.help = true;
  },
  version: (settings) => {
    settings.version = true;
  },
  machine: () => refuseRemote('--machine'),
  host: () => refuseRemote('--host'),
  'no-pager': () => undefined,
  'no-ask-password': () => undefined,
};

function setClass(settings: ImportctlSettings, imageClass: ImageClass): void {
  settings.imageClass = imageClass;
}

/** A literal digest is ours, in addition (design.md §7). */
function parseVerify(value: string): VerifyMode {
  if (value === 'no' || value === 'checksum' || value === 'signature') return value;
  if (/^[0-9a-f]{64}$/i.test(value)) return {sha256: value.toLowerCase()};
  throw usage(`Failed to parse --verify= setting: ${value}`);
}

function parseBoolean(value: string): boolean {
  const word = value.toLowerCase();
  if (trueWords.has(word)) return true;
  if (falseWords.has(word)) return false;
  throw usage(`Failed to parse --keep-download= value: ${value}`);
}

function refuseRemote(option: string): never {
  throw new ImgctlError(
    'NotSupported',
    `${option} needs the bus of another host or container, which is not supported`,
  );
}

function scan(
  argv: readonly string[],
  table: Record<string, FlagDefinition>,
  program: string,
): {found: Occurrence[]; words: string[]} {
  const found: Occurrence[] = [];
  const words: string[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    if (word === '--') return {found, words: [...words, ...argv.slice(index + 1)]};
    if (word.startsWith('--')) index += scanLong(word, argv[index + 1], {found, table, program});
    else if (word.startsWith('-') && word !== '-')
      index += scanShort(word, argv[index + 1], {found, table, program});
    else words.push(word);
  }
  return {found, words};
}

interface ScanState {
  found: Occurrence[];
  table: Record<string, FlagDefinition>;
  program: string;
}

/** How many further words it took. */
function scanLong(word: string, next: string | undefined, {found, table, program}: ScanState): number {
  const at = word.indexOf('=');
  const typed = at < 0 ? word.slice(2) : word.slice(2, at);
  const inline = at < 0 ? undefined : word.slice(at + 1);
  const name = completeName(typed, table, program);
  const flag = table[name];
  if (flag?.kind === 'boolean') {
    if (inline !== undefined) throw usage(`${program}: option '--${name}' doesn't allow an argument`);
    found.push({name, value: undefined});
    return 0;
  }
  const value = inline ?? next;
  if (value === undefined) throw usage(`${program}: option '--${name}' requires an argument`);
  found.push({name, value});
  return inline === undefined ? 1 : 0;
}

function completeName(typed: string, table: Record<string, FlagDefinition>, program: string): string {
  const names = Object.keys(table).filter((name) => !table[name]?.charOnly);
  if (names.includes(typed)) return typed;
  const candidates = names.filter((name) => name.startsWith(typed));
  if (candidates.length === 1 && candidates[0]) return candidates[0];
  if (candidates.length === 0 || typed === '') throw usage(`${program}: unrecognized option '--${typed}'`);
  const list = candidates.map((name) => `'--${name}'`).join(' ');
  throw usage(`${program}: option '--${typed}' is ambiguous; possibilities: ${list}`);
}

function scanShort(word: string, next: string | undefined, {found, table, program}: ScanState): number {
  for (let position = 1; position < word.length; position += 1) {
    const letter = word[position] ?? '';
    const entry = Object.entries(table).findLast(([, flag]) => flag.char === letter);
    if (!entry) throw usage(`${program}: invalid option -- '${letter}'`);
    const [name, flag] = entry;
    if (flag.kind === 'boolean') {
      found.push({name, value: undefined});
      continue;
    }
    const inline = word.slice(position + 1);
    const value = inline === '' ? next : inline;
    if (value === undefined) throw usage(`${program}: option requires an argument -- '${letter}'`);
    found.push({name, value});
    return inline === '' ? 1 : 0;
  }
  return 0;
}

function usage(message: string): ImgctlError {
  return new ImgctlError('Usage', message);
}
