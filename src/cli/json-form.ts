/** How JSON is laid out on stdout (ux.md §5): `--json=pretty`, `short` or `lines`. */

export type JsonForm = 'pretty' | 'short' | 'lines';

export interface JsonWords {
  /** With `--json` in place of `--json=FORM`. */
  words: string[];
  form: JsonForm | undefined;
}

/** Of several the last counts. Other words behind the `=` are left for who reads switches. */
export function takeJsonForm(args: readonly string[]): JsonWords {
  let form: JsonForm | undefined;
  const end = args.indexOf('--');
  const options = end < 0 ? args : args.slice(0, end);
  const words = options.map((word) => {
    const found = formOf(word);
    form = found ?? form;
    return found === undefined ? word : '--json';
  });
  return {words: [...words, ...args.slice(options.length)], form};
}

/** What an option asks for; undefined where it names no form. */
export function formOf(word: string): JsonForm | undefined {
  const [, form] = /^--json=(pretty|short|lines)$/.exec(word) ?? [];
  return form as JsonForm | undefined;
}

/** Without the last newline; '' for no lines. Indented unless asked for otherwise, as imgadm does (design.md §7). */
export function jsonText(value: unknown, form: JsonForm | undefined): string {
  if (form === 'lines')
    return (Array.isArray(value) ? value : [value]).map((item) => JSON.stringify(item)).join('\n');
  return JSON.stringify(value, null, form === 'short' ? 0 : 2);
}
