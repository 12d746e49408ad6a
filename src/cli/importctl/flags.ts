/** The options of the importctl family (spec/importctl.md §2), one table for all its verbs. */

import type {FlagTable} from '../flags.ts';

export const importctlFlags = {
  class: {
    kind: 'string',
    value: 'CLASS',
    options: ['machine', 'portable', 'sysext', 'confext'],
    summary: 'class of the image, which says where it lies',
  },
  machine: {
    kind: 'string',
    char: 'M',
    value: 'CONTAINER',
    summary: 'a local container; refused by the embedded engine',
  },
  host: {kind: 'string', char: 'H', value: 'HOST', summary: 'another host; refused by the embedded engine'},
  'class-machine': {kind: 'boolean', char: 'm', charOnly: true, summary: 'the same as --class=machine'},
  'class-portable': {kind: 'boolean', char: 'P', charOnly: true, summary: 'the same as --class=portable'},
  'class-sysext': {kind: 'boolean', char: 'S', charOnly: true, summary: 'the same as --class=sysext'},
  'class-confext': {kind: 'boolean', char: 'C', charOnly: true, summary: 'the same as --class=confext'},
  verify: {
    kind: 'string',
    value: 'MODE',
    summary: 'how a download is verified: no, checksum or signature (default), or its SHA256 in hex',
  },
  force: {kind: 'boolean', summary: 'replace an image of that name'},
  'read-only': {kind: 'boolean', summary: 'mark the image read-only'},
  'keep-download': {
    kind: 'string',
    value: 'BOOL',
    summary: 'keep the download copy (default yes for class machine, no for the others)',
  },
  'no-keep': {kind: 'boolean', char: 'N', charOnly: true, summary: 'the same as --keep-download=no'},
  format: {
    kind: 'string',
    value: 'FORMAT',
    summary: 'compression of an export: uncompressed, xz, gzip, bzip2 or zstd (default by the name of FILE)',
  },
  json: {kind: 'string', value: 'MODE', summary: 'print what comes out as JSON: pretty, short, lines or off'},
  'json-auto': {
    kind: 'boolean',
    char: 'j',
    charOnly: true,
    summary: '--json=pretty on a terminal, else --json=short',
  },
  'no-legend': {kind: 'boolean', summary: 'no header and no footer in lists'},
  'no-pager': {kind: 'boolean', summary: 'accepted for compatibility'},
  'no-ask-password': {kind: 'boolean', summary: 'accepted for compatibility'},
  quiet: {kind: 'boolean', char: 'q', summary: 'no informational lines and no progress'},
  system: {kind: 'boolean', summary: 'images of the system (default)'},
  user: {kind: 'boolean', summary: "the calling user's own images"},
} as const satisfies FlagTable;

type FlagName = keyof typeof importctlFlags;

const classFlags = [
  'class',
  'class-machine',
  'class-portable',
  'class-sysext',
  'class-confext',
] as const satisfies FlagName[];
const storeFlags = [...classFlags, 'force', 'read-only'] as const satisfies FlagName[];
const outputFlags = ['json', 'json-auto'] as const satisfies FlagName[];

/** Which of them mean something to a kind of verb. All verbs take all, as importctl does. */
export const verbFlags = {
  pull: [...storeFlags, 'verify', 'keep-download', 'no-keep', ...outputFlags, 'quiet'],
  import: [...storeFlags, ...outputFlags, 'quiet'],
  export: [...classFlags, 'format', ...outputFlags, 'quiet'],
  list: [...classFlags, ...outputFlags, 'no-legend'],
  none: outputFlags,
} as const satisfies Record<string, readonly FlagName[]>;

/** The whole table; help and manual show only those of this kind of verb. */
export function flagsOf(kind: keyof typeof verbFlags): FlagTable {
  const shown: readonly string[] = verbFlags[kind];
  return Object.fromEntries(
    Object.entries(importctlFlags).map(([name, flag]) => [
      name,
      shown.includes(name) ? flag : {...flag, hidden: true},
    ]),
  );
}
