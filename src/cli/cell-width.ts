/** How many cells of a terminal a text takes (ux.md §4.4): two for East Asian and emoji, none for marks that combine. */

/** Text of which each character takes one cell. */
export const plain = /^[\x20-\x7e]*$/;
const combining = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
/** Wide and full-width ranges of Unicode's EastAsianWidth. */
const wide =
  /^[\u1100-\u115f\u2e80-\u3029\u3030-\u303e\u3041-\u3098\u309b-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]$/u;

export function cellWidth(text: string): number {
  if (plain.test(text)) return text.length;
  let width = 0;
  for (const character of text) {
    if (wide.test(character)) width += 2;
    else if (!combining.test(character)) width += 1;
  }
  return width;
}

/** The text in so many cells at most, with `ellipsis` for what is left out. */
export function shortenedTo(text: string, cells: number, ellipsis: string): string {
  if (cellWidth(text) <= cells) return text;
  const room = cells - cellWidth(ellipsis);
  if (room < 0) return ellipsis.slice(0, cells);
  let kept = '';
  let width = 0;
  for (const character of text) {
    width += cellWidth(character);
    if (width > room) break;
    kept += character;
  }
  return `${kept}${ellipsis}`;
}
