/** True for a text with a character that could end a line or do worse to a terminal. */
export function hasControlCharacter(text: string): boolean {
  return [...text].some((character) => character < ' ' || character === '\x7f');
}
