/**
 * Tables of the imgadm family (spec/imgadm.md §3): left-aligned, two spaces apart, upper-case header, the
 * last column never padded. On a terminal cli-table3 lays them out and shortens what does not fit. Elsewhere rows are
 * written plainly and never shortened: cli-table3 needs seconds for 10,000 rows (5.3 s measured, against 6 ms), and
 * whoever reads a pipe wants whole cells.
 */

import Table from 'cli-table3';
import {cellWidth, plain} from './cell-width.ts';
import {paintState} from './terminal-style.ts';

/** Above this a terminal gets the plain rows too. */
const maxLaidOutRows = 500;

/** What the place of a table asks for. */
export interface TableLook {
  /** Width of the terminal; undefined when stdout is none. */
  terminalColumns: number | undefined;
  /** What stands for the rest of a shortened cell. */
  ellipsis?: string;
  /** Whether words of states are coloured. */
  color?: boolean;
}

export interface TableOptions extends TableLook {
  columns: readonly string[];
  /** One array of cell texts per row, in column order. */
  rows: readonly (readonly string[])[];
  header: boolean;
}

/** Cell text of a value: null and absent are `-`, strings and numbers as they are, all else compact JSON. */
export function cellText(value: unknown): string {
  if (value === undefined || value === null) return '-';
  if (typeof value === 'string') return escapeControls(value);
  if (typeof value === 'number') return String(value);
  return escapeControls(JSON.stringify(value));
}

/** The texts of one column; nearly always none needs more than to be looked at together with all others. */
export function columnTexts(values: readonly unknown[]): string[] {
  const texts = values.map((value) => (typeof value === 'string' ? value : cellText(value)));
  return plain.test(texts.join('')) ? texts : values.map(cellText);
}

/**
 * Names come from outside: what would move the cursor is shown as `\xNN`, what would show other text in another order
 * or line as `\uNNNN` (ux.md §4.4).
 */
export function escapeControls(text: string): string {
  if (plain.test(text)) return text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for
  const misleading = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
  return text.replace(misleading, (character) => {
    const code = character.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
  });
}

/** JSON writes control characters as text, but for these; as text they mean the same in it. */
export function escapeRest(json: string): string {
  return json.replace(/[\u007f-\u009f]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);
}

/** The table without a last newline; '' when there are no rows (spec/imgadm.md §3: not even a header). */
export function drawTable(options: TableOptions): string {
  const {columns, rows, terminalColumns} = options;
  if (rows.length === 0) return '';
  const paint = options.color === true ? painter(columns) : undefined;
  const heads = columns.map((column) => column.toUpperCase());
  const measured = heads.map((head, index) => columnWidth(head, rows, index));
  const widths = measured.map(({width}) => width);
  const lines = options.header ? [heads, ...rows] : rows;
  const total = widths.reduce((sum, width) => sum + width + 2, -2);
  if (terminalColumns && total > terminalColumns && rows.length <= maxLaidOutRows) {
    const shown = paint ? lines.map((row) => row.map(paint)) : lines;
    return layOut(shown, shortenedWidths(columns, widths, terminalColumns), options.ellipsis ?? '…');
  }
  const last = columns.length - 1;
  let text = '';
  for (const row of lines) {
    for (let index = 0; index < last; index += 1) {
      const cell = row[index] ?? '';
      text += `${paint ? paint(cell, index) : cell}${blanks(cell, measured[index])}  `;
    }
    const cell = row[last] ?? '';
    text += `${paint ? paint(cell, last) : cell}\n`;
  }
  return text.slice(0, -1);
}

type Painter = (cell: string, column: number) => string;

const stateColumns = new Set(['status', 'state', 'outcome']);

function painter(columns: readonly string[]): Painter {
  return (cell, index) => (stateColumns.has(columns[index] ?? '') ? paintState(cell) : cell);
}

interface ColumnWidth {
  width: number;
  /** Whether each character of each cell takes one. */
  isPlain: boolean;
}

function columnWidth(head: string, rows: readonly (readonly string[])[], index: number): ColumnWidth {
  const cells = rows.map((row) => row[index] ?? '');
  const isPlain = plain.test(cells.join(''));
  let width = head.length;
  for (const cell of cells) width = Math.max(width, isPlain ? cell.length : cellWidth(cell));
  return {width, isPlain};
}

function blanks(cell: string, {width, isPlain}: ColumnWidth = {width: 0, isPlain: true}): string {
  return ' '.repeat(Math.max(0, width - (isPlain ? cell.length : cellWidth(cell))));
}

const keys = new Set(['uuid', 'url']);

/** The widest column that is no key gives way: keys are there to be copied. */
function shortenedWidths(columns: readonly string[], widths: readonly number[], room: number): number[] {
  const result = [...widths];
  let excess = result.reduce((sum, width) => sum + width + 2, -2) - room;
  while (excess > 0) {
    let widest = -1;
    columns.forEach((column, index) => {
      const isCandidate = !keys.has(column) && (result[index] ?? 0) > 8;
      if (isCandidate && (widest < 0 || (result[index] ?? 0) > (result[widest] ?? 0))) widest = index;
    });
    if (widest < 0) break;
    result[widest] = (result[widest] ?? 0) - 1;
    excess -= 1;
  }
  return result;
}

function layOut(lines: readonly (readonly string[])[], widths: number[], ellipsis: string): string {
  const none = '';
  const table = new Table({
    chars: {
      top: none,
      'top-mid': none,
      'top-left': none,
      'top-right': none,
      bottom: none,
      'bottom-mid': none,
      'bottom-left': none,
      'bottom-right': none,
      left: none,
      'left-mid': none,
      mid: none,
      'mid-mid': none,
      right: none,
      'right-mid': none,
      middle: '  ',
    },
    style: {'padding-left': 0, 'padding-right': 0, head: [], border: []},
    truncate: ellipsis,
    wordWrap: false,
    colWidths: widths,
  });
  for (const line of lines) table.push([...line]);
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
