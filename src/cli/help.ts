/** Help texts (ux.md §2), made from the command definitions that the parsers read. */

import type {ArgumentDefinition, CommandDefinition} from './command.ts';
import type {ProgramName} from './context-flags.ts';
import {flagTable} from './fast-path.ts';
import type {FlagDefinition} from './flags.ts';

export function commandHelp(program: ProgramName, definition: CommandDefinition, columns: number): string {
  const lines = [
    `${program} ${definition.id} - ${definition.summary}`,
    '',
    'USAGE',
    `  ${usageLine(program, definition)}`,
  ];
  if (definition.description) {
    lines.push('', 'DESCRIPTION');
    for (const paragraph of definition.description.split('\n\n'))
      lines.push(...wrapped('  ', paragraph, columns));
  }
  if (definition.args.length > 0) {
    lines.push('', 'ARGUMENTS');
    for (const argument of definition.args)
      lines.push(...wrapped(`  ${argument.name.padEnd(24)}`, argument.summary, columns));
  }
  const own = Object.keys(definition.flags);
  const table = flagTable(definition, program);
  lines.push('', 'OPTIONS', ...groupedLines(table, own, columns));
  const others = Object.keys(table).filter((name) => !own.includes(name));
  lines.push('', 'GLOBAL OPTIONS', ...optionLines(table, others, columns));
  lines.push('', 'EXAMPLES', ...definition.examples.map((example) => `  ${program} ${example}`));
  if (definition.exitStatus) {
    lines.push('', 'EXIT STATUS');
    for (const [status, meaning] of Object.entries(definition.exitStatus))
      lines.push(`  ${status}  ${meaning}`);
  }
  lines.push('', 'SEE ALSO', `  ${program}(1), ${program}-${definition.id.replaceAll(' ', '-')}(1)`);
  return `${lines.join('\n')}\n`.replace('OPTIONS\n\nGLOBAL', 'GLOBAL');
}

export function usageLine(program: string, definition: CommandDefinition): string {
  const args = definition.args.map(argumentText).join(' ');
  return `${program} ${definition.id} [options]${args ? ` ${args}` : ''}`;
}

function argumentText(argument: ArgumentDefinition): string {
  const name = argument.many ? `${argument.name}...` : argument.name;
  return argument.optional ? `[${name}]` : name;
}

/** More options than this are told in groups (ux.md §2.1). */
const mostUngrouped = 10;

/** A name means the same on every command that has it. */
const groups: readonly (readonly [title: string, names: readonly string[]])[] = [
  [
    'selection',
    [
      ...[
        'class',
        'class-machine',
        'class-portable',
        'class-sysext',
        'class-confext',
        'pool',
        'channel',
        'source',
      ],
      ...['name', 'type', 'manifest', 'file', 'add', 'delete', 'edit', 'check', 'machine', 'host'],
    ],
  ],
  [
    'transfer',
    [
      ...['read-only', 'keep-download', 'no-keep', 'incremental', 'script', 'metadata', 'prepare-timeout'],
      ...['prepare-network', 'max-origin-depth'],
    ],
  ],
  ['trust', ['verify', 'insecure', 'user', 'key', 'password-file']],
  [
    'output',
    [
      ...['json', 'json-auto', 'quiet', 'verbose', 'dry-run', 'columns', 'sort', 'no-header', 'no-legend'],
      ...['output-template', 'compression', 'format', 'publish'],
    ],
  ],
];

function groupedLines(
  table: Record<string, FlagDefinition>,
  names: readonly string[],
  columns: number,
): string[] {
  const shown = names.filter((name) => !table[name]?.hidden);
  if (shown.length <= mostUngrouped) return optionLines(table, shown, columns);
  const rest = shown.filter((name) => !groups.some(([, members]) => members.includes(name)));
  const all = [...groups, ['other', rest] as const];
  return all.flatMap(([title, members]) => {
    const lines = optionLines(
      table,
      shown.filter((name) => members.includes(name)),
      columns,
    );
    return lines.length > 0 ? [` ${title}`, ...lines] : [];
  });
}

function optionLines(
  table: Record<string, FlagDefinition>,
  names: readonly string[],
  columns: number,
): string[] {
  return names.flatMap((name) => {
    const flag = table[name];
    if (!flag || flag.hidden) return [];
    const value = flag.kind === 'boolean' ? '' : `=${flag.value ?? 'VALUE'}`;
    const long = flag.charOnly ? '' : `--${name}${value}`;
    const short = flag.char ? `-${flag.char}${long ? ', ' : ''}` : '    ';
    const head = `  ${short}${long}`;
    const env = flag.env ? ` [${flag.env}]` : '';
    const choices = flag.options ? `: ${flag.options.join(', ')}` : '';
    return wrapped(head.padEnd(26), `${flag.summary}${choices}${env}`, columns);
  });
}

/** A text behind its head; further lines start where the text began. */
export function wrapped(head: string, text: string, columns: number): string[] {
  const indent = ' '.repeat(Math.min(head.length, 30));
  const lines: string[] = [];
  let line = head.length > 30 ? head : head.trimEnd() === '' ? head : head.padEnd(indent.length);
  let isEmpty = true;
  for (const word of text.split(/\s+/)) {
    const candidate = isEmpty
      ? `${line}${line.endsWith(' ') || line === '' ? '' : '  '}${word}`
      : `${line} ${word}`;
    if (!isEmpty && candidate.length > columns) {
      lines.push(line);
      line = `${indent}${word}`;
    } else {
      line = candidate;
    }
    isEmpty = false;
  }
  return [...lines, line];
}
