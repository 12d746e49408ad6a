import {ImgctlError} from '../errors.ts';
import {checkField, fieldReader, type ImageRow} from './fields.ts';
import {compareText} from './order.ts';

export interface SortKey {
  path: string;
  descending: boolean;
}

/** Reads `-s`, e.g. `published_at,-name`; throws `Usage` for unknown and empty fields. */
export function parseSort(text: string): SortKey[] {
  return text.split(',').map((part) => {
    const trimmed = part.trim();
    const descending = trimmed.startsWith('-');
    const path = descending ? trimmed.slice(1) : trimmed;
    if (path === '')
      throw new ImgctlError('Usage', `empty sort field in "${text}"`, {
        hint: 'the fields there are: list -s help',
      });
    checkField(path);
    return {path, descending};
  });
}

/** The rows in order, equal ones as they came (spec/imgadm.md §3.1). */
export function sortRows<Row extends ImageRow>(rows: readonly Row[], keys: readonly SortKey[]): Row[] {
  // Looked up and turned into numbers once, and key by key: both cost more than a comparison, and objects for
  // ten thousand rows more than all.
  const columns = keys.map(({path, descending}) => ({...sortColumn(rows, path), sign: descending ? -1 : 1}));
  const order = rows.map((_row, index) => index);
  order.sort((a, b) => {
    for (const column of columns) {
      const difference = compareIn(column, a, b);
      if (difference !== 0) return difference * column.sign;
    }
    return 0;
  });
  return order.map((index) => rows[index]!);
}

interface SortColumn {
  /** Undefined for a value that is missing. */
  texts: (string | undefined)[];
  /** The values as numbers; undefined when none is one. */
  numbers: number[] | undefined;
}

function sortColumn(rows: readonly ImageRow[], path: string): SortColumn {
  const values = rows.map(fieldReader(path));
  const texts = values.map((value) => {
    if (typeof value === 'string') return value;
    return value === undefined || value === null ? undefined : JSON.stringify(value);
  });
  // Most columns are words and dates, and tell it by their first characters.
  if (values.every(isSurelyNoNumber)) return {texts, numbers: undefined};
  const numbers = values.map((value) =>
    value === undefined || value === null || typeof value === 'object' ? Number.NaN : Number(value),
  );
  return {texts, numbers};
}

/** Of a text that would be read as a number it is never said. */
function isSurelyNoNumber(value: unknown): boolean {
  if (value === undefined || value === null || typeof value === 'object') return true;
  return typeof value === 'string' && /^(?:[a-z]|\d{4}-)/.test(value);
}

/** Missing ones first; as numbers when both turn into numbers; else as text. */
function compareIn({texts, numbers}: SortColumn, left: number, right: number): number {
  const [a, b] = [texts[left], texts[right]];
  if (a === undefined || b === undefined) return Number(b === undefined) - Number(a === undefined);
  if (numbers) {
    const difference = numbers[left]! - numbers[right]!;
    if (!Number.isNaN(difference)) return Math.sign(difference);
    // Infinities, or no numbers.
    if (numbers[left] === numbers[right]) return 0;
  }
  return compareText(a, b);
}
