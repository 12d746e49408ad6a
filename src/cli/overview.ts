/**
 * The list of commands (ux.md §2.1), grouped by what one wants to do. It fits a terminal of 80 columns and 50 lines, so
 * commands of one kind share a line.
 */

import type {CommandMap} from './command-map.ts';
import type {ProgramName} from './context-flags.ts';
import {wrapped} from './help.ts';

/** Several commands on one line, and what is said of them together. */
interface SharedLine {
  names: string;
  ids: readonly string[];
  summary: string;
}

const serverVerbs = ['activate', 'enable', 'disable', 'update', 'delete', 'add-icon', 'acl', 'channel'];

/** Order and titles; commands that a program does not have are left out. */
const groups: readonly (readonly [title: string, lines: readonly (string | SharedLine)[]])[] = [
  ['FIND', ['avail', 'show', 'sources']],
  ['GET', ['import', 'install', 'migrate-imgadm']],
  ['KEEP', ['list', 'get', 'ancestry', 'update', 'delete', 'vacuum', 'ignore', 'cache prune']],
  [
    'BY URL',
    [
      'pull-tar',
      'pull-raw',
      {
        names: 'import-tar, import-raw, import-fs',
        ids: ['import-tar', 'import-raw', 'import-fs'],
        summary: 'make an image of an archive, a disk, a directory',
      },
      {
        names: 'export-tar, export-raw',
        ids: ['export-tar', 'export-raw'],
        summary: 'write a tree or a disk to a file',
      },
      'list-images',
    ],
  ],
  ['TRANSFERS', ['list-transfers', 'cancel-transfer']],
  ['MAKE', ['clone', 'create', 'convert', 'publish']],
  [
    'SERVE',
    [
      'serve',
      {
        names: 'server VERB',
        ids: serverVerbs.map((verb) => `server ${verb}`),
        summary: `change images on a server; verbs: ${serverVerbs.join(', ')}`,
      },
    ],
  ],
  ['AT BOOT', ['import-generator', 'apply', 'boot-report']],
  ['OTHER', ['doctor', 'verify', 'quarantine', 'manifest check', 'manifest upgrade', 'schema', 'completion']],
];

const taglines: Readonly<Record<ProgramName, string>> = {
  imgctl: 'find, fetch, verify and manage machine images',
  imgadm: 'imgctl under the name and with the manners of SmartOS imgadm',
  importctl: 'imgctl under the name and with the manners of systemd importctl',
};

export async function overview(commands: CommandMap, program: ProgramName, columns: number): Promise<string> {
  const known = new Set(commands.ids(program));
  const lines = [
    `${program} - ${taglines[program]}`,
    '',
    'USAGE',
    `  ${program} [options] <command> [arguments]`,
    '',
  ];
  for (const [title, entries] of groups) {
    const shown = entries.filter((entry) => idsOf(entry).some((id) => known.has(id)));
    for (const [index, entry] of shown.entries()) {
      const head = (index === 0 ? title : '').padEnd(11);
      if (typeof entry === 'string')
        lines.push(...wrapped(`${head}${entry.padEnd(18)}`, (await commands.load(entry)).summary, columns));
      else lines.push(...sharedLines(head, entry, columns));
    }
  }
  lines.push('', `Run "${program} help <command>" for details, "man ${program}" for the manual.`);
  return `${lines.join('\n')}\n`;
}

function idsOf(entry: string | SharedLine): readonly string[] {
  return typeof entry === 'string' ? [entry] : entry.ids;
}

/** Long names get a line of their own. */
function sharedLines(head: string, {names, summary}: SharedLine, columns: number): string[] {
  if (names.length < 18) return wrapped(`${head}${names.padEnd(18)}`, summary, columns);
  return [`${head}${names}`, ...wrapped(' '.repeat(29), summary, columns)];
}
