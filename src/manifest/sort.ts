import {ImgctlError} from '../errors.ts';
import {checkField, fieldValue, type ImageRow} from './fields.ts';
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
  // Values are looked up once: computed ones cost more than the comparison.
  const decorated = rows.map((row) => ({row, values: keys.map(({path}) => fieldValue(row, path))}));
  decorated.sort((a, b) => {
    for (const [index, {descending}] of keys.entries()) {
      const order = compareValues(a.values[index], b.values[index]);
      if (order !== 0) return descending ? -order : order;
    }
    return 0;
  });
  return decorated.map(({row}) => row);
}

/** Missing ones first; as numbers when both turn into numbers; else as text. */
function compareValues(a: unknown, b: unknown): number {
  const [aMissing, bMissing] = [a ?? undefined, b ?? undefined].map((value) => value === undefined);
  if (aMissing || bMissing) return Number(bMissing) - Number(aMissing);
  const [aNumber, bNumber] = [toNumber(a), toNumber(b)];
  if (!Number.isNaN(aNumber) && !Number.isNaN(bNumber)) return Math.sign(aNumber - bNumber) || 0;
  return compareText(toText(a), toText(b));
}

function toNumber(value: unknown): number {
  return typeof value === 'object' ? Number.NaN : Number(value);
}

function toText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
