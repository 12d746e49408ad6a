/** Options that are switches may be given a word: `--offline=no` (ux.md §3.3). */

import {ImgctlError} from '../errors.ts';
import type {FlagDefinition} from './flags.ts';

const yes = ['yes', 'true', '1', 'on'];
const no = ['no', 'false', '0', 'off'];

/** `Usage` for a word that is neither. */
export function parseSwitch(name: string, word: string): boolean {
  if (yes.includes(word.toLowerCase())) return true;
  if (no.includes(word.toLowerCase())) return false;
  throw new ImgctlError('Usage', `invalid --${name} "${word}": must be yes or no`);
}

/** The words with every `--switch=WORD` turned into `--switch` or left out, as both parsers read them. */
export function withPlainSwitches(
  table: Readonly<Record<string, FlagDefinition>>,
  words: readonly string[],
): string[] {
  const end = words.indexOf('--');
  const options = end < 0 ? words : words.slice(0, end);
  const plain = options.flatMap((word) => {
    const [, name = '', value = ''] = /^--([^=]+)=(.*)$/s.exec(word) ?? [];
    if (!Object.hasOwn(table, name) || table[name]?.kind !== 'boolean') return [word];
    return parseSwitch(name, value) ? [`--${name}`] : [];
  });
  return [...plain, ...words.slice(options.length)];
}
