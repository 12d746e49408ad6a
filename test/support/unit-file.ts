/** A unit as systemd reads it: strict where systemd is lenient, so that whatever is odd about a generated one shows. */

import {hasControlCharacter} from '../../src/generator/control-characters.ts';

export interface UnitFile {
  /** `Section.Key` → its values, in order. */
  values: Map<string, string[]>;
}

/** An odd number of backslashes at the end. */
const continuesLine = /(?<!\\)(?:\\\\)*\\$/;

/** Throws for a line that is no section, comment or assignment, and for a byte that ends or hides a line. */
export function readUnitFile(text: string): UnitFile {
  const values = new Map<string, string[]>();
  let section = '';
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  for (const line of text.slice(0, -1).split('\n')) {
    if (hasControlCharacter(line)) throw new Error(`control character in ${JSON.stringify(line)}`);
    if (line === '' || line.startsWith('#')) continue;
    const heading = /^\[([A-Z][a-z]+)\]$/.exec(line);
    if (heading) {
      section = heading[1] ?? '';
      continue;
    }
    const assignment = /^([A-Za-z]+)=(.*)$/.exec(line);
    if (!assignment || continuesLine.test(line)) throw new Error(`no assignment: ${JSON.stringify(line)}`);
    const key = `${section}.${assignment[1]}`;
    values.set(key, [...(values.get(key) ?? []), assignment[2] ?? '']);
  }
  return {values};
}

/** The words that a command line of a unit starts, without the `:` in front; `%%` stands for `%`, and no other `%` is allowed. */
export function commandWords(commandLine: string): string[] {
  if (!commandLine.startsWith(':')) throw new Error(`variables would be replaced: ${commandLine}`);
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  const text = commandLine.slice(1);
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index);
    if (character === '\\') {
      const sequence = /^(?:["\\]|u0027)/.exec(text.slice(index + 1))?.[0];
      // Only what a generated unit may escape.
      if (sequence === undefined) throw new Error(`unexpected escape: ${commandLine}`);
      word = (word ?? '') + (sequence === 'u0027' ? "'" : sequence);
      index += sequence.length;
    } else if (quote !== '' ? character === quote : character === '"' || character === "'") {
      quote = quote === '' ? character : '';
      word ??= '';
    } else if (quote === '' && character === ' ') {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + character;
  }
  if (quote !== '') throw new Error(`open quote: ${commandLine}`);
  if (word !== undefined) words.push(word);
  return words.map(withoutSpecifiers);
}

function withoutSpecifiers(word: string): string {
  if (/%/.test(word.replaceAll('%%', ''))) throw new Error(`a specifier would be replaced: ${word}`);
  return word.replaceAll('%%', '%');
}
