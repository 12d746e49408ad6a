/** Colour and glyphs (ux.md §4.4): who decides, and what is coloured. */
import {stripVTControlCharacters} from 'node:util';
import {describe, expect, test} from 'vitest';
import {drawTable} from '../../../src/cli/table.ts';
import {
  ellipsisFor,
  isAccessible,
  isAsciiOnly,
  paintMessage,
  paintState,
  wantsColor,
} from '../../../src/cli/terminal-style.ts';

describe('colour is decided by the first that says anything', () => {
  test.each([
    // --color, variables, terminal, outcome
    [undefined, {}, true, true],
    [undefined, {}, false, false],
    ['auto', {}, true, true],
    ['always', {IMGCTL_COLOR: 'never', NO_COLOR: '1', TERM: 'dumb'}, false, true],
    ['never', {IMGCTL_COLOR: 'always', FORCE_COLOR: '1'}, true, false],
    ['auto', {IMGCTL_COLOR: 'always'}, false, true],
    [undefined, {IMGCTL_COLOR: 'never', FORCE_COLOR: '1', CLICOLOR_FORCE: '1'}, true, false],
    [undefined, {IMGCTL_COLOR: 'always', NO_COLOR: '1'}, false, true],
    [undefined, {IMGCTL_COLOR: 'auto', NO_COLOR: '1'}, true, false],
    [undefined, {IMGCTL_COLOR: 'nonsense'}, true, true],
    [undefined, {FORCE_COLOR: '1', NO_COLOR: '1'}, false, true],
    [undefined, {CLICOLOR_FORCE: '1', NO_COLOR: '1', TERM: 'dumb'}, false, true],
    [undefined, {CLICOLOR_FORCE: '0'}, true, true],
    [undefined, {FORCE_COLOR: '0'}, true, false],
    [undefined, {NO_COLOR: '1'}, true, false],
    [undefined, {NO_COLOR: ''}, true, true],
    [undefined, {TERM: 'dumb'}, true, false],
  ] as const)('--color=%s, %j, a terminal: %s: %s', (asked, env, isTerminal, outcome) => {
    expect(wantsColor(asked, env, isTerminal)).toBe(outcome);
  });
});

test.each([
  [{LANG: 'de_DE.UTF-8'}, false],
  [{LC_CTYPE: 'C.utf8', LANG: 'C'}, false],
  [{LC_ALL: 'C', LANG: 'de_DE.UTF-8'}, true],
  [{}, true],
  [{LANG: 'C.UTF-8', TERM: 'dumb'}, true],
  [{LANG: 'C.UTF-8', IMGCTL_ASCII: '1'}, true],
  [{LANG: 'C.UTF-8', IMGCTL_ASCII: '0'}, false],
])('%j asks for ASCII: %s', (env, isAscii) => {
  expect(isAsciiOnly(env)).toBe(isAscii);
  expect(ellipsisFor(env)).toBe(isAscii ? '...' : '…');
});

test.each([
  [{}, false],
  [{IMGCTL_ACCESSIBLE: '1'}, true],
  [{ACCESSIBLE: 'yes'}, true],
  [{IMGCTL_ACCESSIBLE: '0', ACCESSIBLE: ''}, false],
])('%j asks for no redrawn line: %s', (env, outcome) => {
  expect(isAccessible(env)).toBe(outcome);
});

test('of a message the word for its kind is coloured, by the 8 basic colours', () => {
  expect(paintMessage('imgctl x: error (Usage): no\n  hint: y')).toBe(
    'imgctl x: \u001b[31merror\u001b[39m (Usage): no\n  hint: y',
  );
  expect(paintMessage('imgctl x: warning: old')).toBe('imgctl x: \u001b[33mwarning\u001b[39m: old');
  for (const text of ['Downloaded image', '{"msg":"error (X): y"}', 'a: b'])
    expect(paintMessage(text)).toBe(text);
});

test('good and bad states differ in their word, not in colour alone', () => {
  expect(paintState('ok')).toBe('\u001b[32mok\u001b[39m');
  expect(paintState('problem')).toBe('\u001b[31mproblem\u001b[39m');
  for (const text of ['', 'linux', 'constructor', '__proto__']) expect(paintState(text)).toBe(text);
});

test('a table colours the words of its state columns alone, and stays in line', () => {
  const options = {
    columns: ['status', 'name', 'state'],
    rows: [
      ['ok', 'ok', 'active'],
      ['problem', 'x', '-'],
    ],
    header: true,
  };
  const colored = drawTable({...options, terminalColumns: undefined, color: true});
  expect(colored).toBe(
    'STATUS   NAME  STATE\n\u001b[32mok\u001b[39m       ok    \u001b[32mactive\u001b[39m\n\u001b[31mproblem\u001b[39m  x     -',
  );
  const bare = (text: string): string => stripVTControlCharacters(text);
  expect(bare(colored)).toBe(drawTable({...options, terminalColumns: undefined}));
  const narrow = {...options, rows: [['ok', 'n'.repeat(60), 'active']], terminalColumns: 40};
  expect(bare(drawTable({...narrow, color: true}))).toBe(drawTable(narrow));
});
