/**
 * The kernel command line: words with shell-like quotes, `rd.` for the initrd. Text is bytes, one character each
 * (latin1), here and in the whole room, so that names of any encoding pass unharmed.
 */

export interface CommandLineItem {
  key: string;
  /** Undefined when there is no `=`. */
  value: string | undefined;
}

/** Words as the kernel and systemd cut them: quotes go, backslashes stay, a quote that is never closed ends with the text. */
export function splitCommandLine(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (const character of text) {
    if (quote !== '') {
      if (character === quote) quote = '';
      else word += character;
    } else if (' \t\n\r'.includes(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word ??= '';
      if (character === '"' || character === "'") quote = character;
      else word += character;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** The items that count here: in the initrd those with `rd.` (which is taken off), on the host those without. */
export function itemsFor(words: readonly string[], inInitrd: boolean): CommandLineItem[] {
  const items: CommandLineItem[] = [];
  for (const word of words) {
    const isForInitrd = word.startsWith('rd.');
    if (isForInitrd !== inInitrd) continue;
    const plain = isForInitrd ? word.slice('rd.'.length) : word;
    const at = plain.indexOf('=');
    items.push(
      at < 0 ? {key: plain, value: undefined} : {key: plain.slice(0, at), value: plain.slice(at + 1)},
    );
  }
  return items;
}

/** In keys `-` and `_` are the same. */
export function isKey(item: CommandLineItem, key: string): boolean {
  return item.key.replaceAll('-', '_') === key;
}
