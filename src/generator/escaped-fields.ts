/** Thrown for a text whose last character is a backslash that has nothing to escape. */
export class DanglingBackslash extends Error {}

/**
 * Takes the text up to the next separator; a backslash takes away the meaning of the character after it, and
 * goes. `rest` is undefined when no separator came.
 */
export function takeField(text: string, separator: string): {field: string; rest: string | undefined} {
  let field = '';
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index);
    if (character === separator) return {field, rest: text.slice(index + 1)};
    if (character !== '\\') {
      field += character;
      continue;
    }
    index++;
    if (index === text.length) throw new DanglingBackslash();
    field += text.charAt(index);
  }
  return {field, rest: undefined};
}

/** The opposite: a text that `takeField` gives back whole. */
export function escapeField(text: string, separators: string): string {
  return [...text].map((each) => (each === '\\' || separators.includes(each) ? `\\${each}` : each)).join('');
}
