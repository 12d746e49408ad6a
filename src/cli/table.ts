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

/** Of one column, from the first row to the last. */
export interface ColumnTexts {
  cells: readonly string[];
  /** Whether each character of each cell takes one place of a line. */
  isPlain: boolean;
}

/** Nearly always no cell needs more than to be looked at together with all others. */
export function columnTexts(values: readonly unknown[]): ColumnTexts {
  const texts = values.map((value) => (typeof value === 'string' ? value : cellText(value)));
  if (plain.test(texts.join(''))) return {cells: texts, isPlain: true};
  return plainness(values.map(cellText));
}

function plainness(cells: readonly string[]): ColumnTexts {
  return {cells, isPlain: plain.test(cells.join(''))};
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
export function drawTable({rows, ...options}: TableOptions): string {
  const texts = options.columns.map((_column, index) => plainness(rows.map((row) => row[index] ?? '')));
  return drawColumns({...options, texts});
}

/** The same from texts column by column. */
export function drawColumns(options: Omit<TableOptions, 'rows'> & {texts: readonly ColumnTexts[]}): string {
  const {columns, texts, terminalColumns} = options;
  const rowCount = texts[0]?.cells.length ?? 0;
  if (rowCount === 0) return '';
  const paint = options.color === true ? painter(columns) : undefined;
  const heads = columns.map((column) => column.toUpperCase());
  const widths = texts.map((column, index) => columnWidth(heads[index] ?? '', column));
  const total = widths.reduce((sum, width) => sum + width + 2, -2);
  const last = columns.length - 1;
  const shown = texts.map(({cells, isPlain}, index) => {
    const lines = options.header ? [heads[index] ?? '', ...cells] : cells;
    return {cells: paint ? lines.map((cell) => paint(cell, index)) : lines, lines, isPlain};
  });
  if (terminalColumns && total > terminalColumns && rowCount <= maxLaidOutRows) {
    const lines = shown[0]!.cells.map((_cell, row) => shown.map(({cells}) => cells[row] ?? ''));
    return layOut(lines, shortenedWidths(columns, widths, terminalColumns), options.ellipsis ?? '…');
  }
  const filled = shown.map(({cells, lines, isPlain}, index) => {
    const width = widths[index] ?? 0;
    if (index === last) return cells;
    return cells.map((cell, row) => `${cell}${blanks(lines[row] ?? '', width, isPlain)}`);
  });
  return joined(filled);
}

/** Row by row. One text that grows, and one array of all, take longer. */
function joined(columns: readonly (readonly string[])[]): string {
  const [first = [], ...others] = columns;
  return first
    .map((cell, row) => {
      let line = cell;
      for (const cells of others) line += `  ${cells[row]}`;
      return line;
    })
    .join('\n');
}

type Painter = (cell: string, column: number) => string;

const stateColumns = new Set(['status', 'state', 'outcome']);

function painter(columns: readonly string[]): Painter {
  return (cell, index) => (stateColumns.has(columns[index] ?? '') ? paintState(cell) : cell);
}

function columnWidth(head: string, {cells, isPlain}: ColumnTexts): number {
  let width = head.length;
  for (const cell of cells) width = Math.max(width, isPlain ? cell.length : cellWidth(cell));
  return width;
}

function blanks(cell: string, width: number, isPlain: boolean): string {
  const missing = width - (isPlain ? cell.length : cellWidth(cell));
  return missing > 0 ? ' '.repeat(missing) : '';
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
