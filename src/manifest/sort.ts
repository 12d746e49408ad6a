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
  // Looked up and turned into numbers once: both cost more than a comparison.
  const readers = keys.map(({path}) => fieldReader(path));
  const decorated = rows.map((row) => ({row, values: readers.map((read) => sortValue(read(row)))}));
  decorated.sort((a, b) => {
    for (const [index, {descending}] of keys.entries()) {
      const order = compareValues(a.values[index]!, b.values[index]!);
      if (order !== 0) return descending ? -order : order;
    }
    return 0;
  });
  return decorated.map(({row}) => row);
}

/** Undefined for a value that is missing. */
interface SortValue {
  text: string | undefined;
  number: number;
}

function sortValue(value: unknown): SortValue {
  if (value === undefined || value === null) return {text: undefined, number: Number.NaN};
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return {text, number: typeof value === 'object' ? Number.NaN : Number(value)};
}

/** Missing ones first; as numbers when both turn into numbers; else as text. */
function compareValues(a: SortValue, b: SortValue): number {
  if (a.text === undefined || b.text === undefined)
    return Number(b.text === undefined) - Number(a.text === undefined);
  if (!Number.isNaN(a.number) && !Number.isNaN(b.number)) return Math.sign(a.number - b.number) || 0;
  return compareText(a.text, b.text);
}
