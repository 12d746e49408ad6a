/** One finding of the validator, in the shape servers answer with (spec/manifest.md §3.1). */
export interface ManifestProblem {
  field: string;
  code: 'MissingParameter' | 'Invalid';
  message?: string;
}

/** Longest part of a foreign value that a message repeats; nothing valid comes near it. */
const maxExcerpt = 1000;

export function invalid(field: string, message?: string): ManifestProblem {
  return message === undefined ? {field, code: 'Invalid'} : {field, code: 'Invalid', message};
}

export function missing(field: string, message?: string): ManifestProblem {
  return message === undefined
    ? {field, code: 'MissingParameter'}
    : {field, code: 'MissingParameter', message};
}

/** The value as JSON, cut when long. The caller has bounded its depth (`isTooDeep`). */
export function jsonExcerpt(value: unknown): string {
  return cut(JSON.stringify(value) ?? String(value));
}

/** The value as plain text: strings as they are, everything else as JSON; cut when long. */
export function textExcerpt(value: unknown): string {
  return typeof value === 'string' ? cut(value) : jsonExcerpt(value);
}

function cut(text: string): string {
  return text.length > maxExcerpt ? `${text.slice(0, maxExcerpt)}…` : text;
}
