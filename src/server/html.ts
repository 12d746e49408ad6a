/** Markup that is safe by construction: whatever is put into a template is text, unless it is markup itself. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Part = Markup | string | number | undefined | readonly Markup[];

/** A template in which values are escaped, also inside quoted attributes; undefined is nothing, lists are joined. */
export function html(parts: TemplateStringsArray, ...values: Part[]): Markup {
  return new Markup(
    parts.map((part, index) => part + (index < values.length ? shown(values[index]) : '')).join(''),
  );
}

function shown(value: Part): string {
  if (value === undefined) return '';
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(({text}) => text).join('');
  return String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
