import {ImgctlError} from '../errors.ts';
import {checkField, type FieldKind, fieldReader, type ImageRow} from './fields.ts';
import {compareStamps, compareVersions} from './order.ts';

/** One filter argument. Several are meant to hold all at once. */
export interface Filter {
  readonly text: string;
  readonly path: string;
  readonly operator: FilterOperator;
  readonly operand: string;
  /** Whether the row passes; a row that lacks the field never does, not even a `!=`. */
  matches(row: ImageRow): boolean;
}

export type FilterOperator = '=' | '=~' | '!=' | '>=';

type Test = (value: unknown) => boolean;

/**
 * Reads `FIELD=VALUE`, `FIELD=~TEXT` (spec/imgadm.md §3.2), `FIELD!=VALUE` or `FIELD>=VALUE` (spec/ux.md §4.1).
 * Throws `Usage`.
 */
export function parseFilter(text: string): Filter {
  const {path, operator, operand} = split(text);
  const {kind} = checkField(path);
  const test = {
    '=': () => equals(operand),
    '!=': () => not(equals(operand)),
    '=~': () => contains(operand),
    '>=': () => atLeast(text, path.includes('.') ? 'number' : kind, operand),
  }[operator]();
  const read = fieldReader(path);
  return {
    ...{text, path, operator, operand},
    matches(row) {
      const value = read(row);
      return value !== undefined && value !== null && test(value);
    },
  };
}

function split(text: string): {path: string; operator: FilterOperator; operand: string} {
  const at = text.indexOf('=');
  const isPair = text[at - 1] === '!' || text[at - 1] === '>';
  const path = text.slice(0, isPair ? at - 1 : at);
  if (at < 0 || path === '') {
    throw new ImgctlError('Usage', `invalid filter: "${text}" (must be of the form "field=value")`);
  }
  if (isPair) return {path, operator: text[at - 1] === '!' ? '!=' : '>=', operand: text.slice(at + 1)};
  if (text[at + 1] === '~') return {path, operator: '=~', operand: text.slice(at + 2)};
  return {path, operator: '=', operand: text.slice(at + 1)};
}

function equals(operand: string): Test {
  if (operand === 'true' || operand === 'false') return (value) => value === (operand === 'true');
  return (value) => (typeof value === 'string' ? value : JSON.stringify(value)) === operand;
}

function not(test: Test): Test {
  return (value) => !test(value);
}

function contains(operand: string): Test {
  return (value) => (typeof value === 'string' || Array.isArray(value)) && value.includes(operand);
}

const stampPattern = /^\d{4}(-\d{2}(-\d{2}(T\d{2}(:\d{2}(:\d{2}(\.\d+)?)?)?Z?)?)?)?$/;

function atLeast(text: string, kind: FieldKind, operand: string): Test {
  switch (kind) {
    case 'date':
      if (!stampPattern.test(operand)) throw wrongOperand(text, 'a date, like 2026-04-17');
      return (value) => typeof value === 'string' && compareStamps(value, operand) >= 0;
    case 'version':
      return (value) => isScalar(value) && compareVersions(String(value), operand) >= 0;
    case 'size':
      return isAtLeast(parseSize(operand), wrongOperand(text, 'a size, like 500M'));
    case 'number':
      return isAtLeast(toNumber(operand), wrongOperand(text, 'a number'));
    default:
      throw new ImgctlError(
        'Usage',
        `invalid filter: "${text}" (">=" is for sizes, dates, versions and numbers)`,
      );
  }
}

function isAtLeast(limit: number, otherwise: ImgctlError): Test {
  if (Number.isNaN(limit)) throw otherwise;
  return (value) => toNumber(value) >= limit;
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number';
}

function wrongOperand(text: string, expectation: string): ImgctlError {
  return new ImgctlError('Usage', `invalid filter: "${text}" (the value must be ${expectation})`);
}

/** `10G` and `10GiB` count in 1024s, `500MB` in 1000s (spec/ux.md §4.2); NaN for anything else. */
function parseSize(text: string): number {
  const [, digits, prefix, suffix] = /^(\d+(?:\.\d+)?)(?:([kmgt])(ib|b)?|b)?$/i.exec(text) ?? [];
  if (digits === undefined) return Number.NaN;
  const base = suffix?.toLowerCase() === 'b' ? 1000 : 1024;
  const exponent = prefix === undefined ? 0 : 'kmgt'.indexOf(prefix.toLowerCase()) + 1;
  return Number(digits) * base ** exponent;
}

function toNumber(value: unknown): number {
  const isText = typeof value === 'string' && value.trim() !== '';
  return isText || typeof value === 'number' ? Number(value) : Number.NaN;
}
