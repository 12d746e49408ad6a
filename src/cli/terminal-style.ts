/**
 * What a terminal may be sent: colour, characters beyond ASCII, redrawn lines (ux.md §4.4, §4.6). Decided from the
 * options and variables alone, once a run. Colour only repeats what the text says already.
 */

import {type Environment, isYes} from './environment.ts';

type Variables = Environment['env'];

export type ColorChoice = 'auto' | 'always' | 'never';

/** Who speaks first decides: --color, IMGCTL_COLOR, FORCE_COLOR and CLICOLOR_FORCE, NO_COLOR, TERM, the stream. */
export function wantsColor(asked: string | undefined, env: Variables, isTerminal: boolean): boolean {
  for (const choice of [asked, env.IMGCTL_COLOR])
    if (choice === 'always' || choice === 'never') return choice === 'always';
  if (env.FORCE_COLOR) return isYes(env.FORCE_COLOR);
  if (isYes(env.CLICOLOR_FORCE)) return true;
  if (env.NO_COLOR || env.TERM === 'dumb') return false;
  return isTerminal;
}

/** Whether only ASCII can be trusted to show: another locale than UTF-8, a dumb terminal, or asked for. */
export function isAsciiOnly(env: Variables): boolean {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
  return env.TERM === 'dumb' || isYes(env.IMGCTL_ASCII) || !/utf-?8/i.test(locale);
}

/** What stands for text that is left out. */
export function ellipsisFor(env: Variables): string {
  return isAsciiOnly(env) ? '...' : '…';
}

/** No redrawn lines, and words in place of bars. */
export function isAccessible(env: Variables): boolean {
  return isYes(env.IMGCTL_ACCESSIBLE) || isYes(env.ACCESSIBLE);
}

/** Of the 8 basic colours, so that the theme of the user decides how they look. */
const codes = {red: 31, green: 32, yellow: 33} as const;

export type Color = keyof typeof codes;

export function paint(text: string, color: Color): string {
  return `\u001b[${codes[color]}m${text}\u001b[39m`;
}

/** The kinds of a message's first line, and the words of states, as they stand in the text. */
const messageKinds: readonly (readonly [RegExp, Color])[] = [
  [/^([^:\n]+: )(error)(?= \([^)\n]+\): )/, 'red'],
  [/^([^:\n]+: )(warning)(?=: )/, 'yellow'],
];

/** Colours the word that says what kind of message it is. */
export function paintMessage(text: string): string {
  for (const [pattern, color] of messageKinds)
    if (pattern.test(text))
      return text.replace(pattern, (_, subject, word) => `${subject}${paint(word, color)}`);
  return text;
}

const stateColors: Readonly<Record<string, Color>> = {
  ok: 'green',
  active: 'green',
  done: 'green',
  installed: 'green',
  present: 'green',
  repaired: 'yellow',
  note: 'yellow',
  unknown: 'yellow',
  unactivated: 'yellow',
  disabled: 'yellow',
  creating: 'yellow',
  problem: 'red',
  changed: 'red',
  unreadable: 'red',
  failed: 'red',
  duplicate: 'red',
};

/** Colours a cell that is a word for a state; others are left as they are. */
export function paintState(text: string): string {
  const color = Object.hasOwn(stateColors, text) ? stateColors[text] : undefined;
  return color === undefined ? text : paint(text, color);
}
