import {expect, test} from 'vitest';
import {cellWidth} from '../../../src/cli/cell-width.ts';
import {drawTable} from '../../../src/cli/table.ts';

test.each([
  ['', 0],
  ['base', 4],
  ['naïve', 5],
  ['naı\u0308ve', 5],
  ['日本語', 6],
  ['한국어', 6],
  ['ｗｉｄｅ', 8],
  ['📦', 2],
  ['…', 1],
])('"%s" takes %d cells', (text, cells) => {
  expect(cellWidth(text)).toBe(cells);
});

test('columns of mixed names line up in a terminal', () => {
  const rows = [
    ['日本語', 'a'],
    ['e\u0301t\u00e9', 'b'],
    ['plain', 'c'],
  ];
  const lines = drawTable({columns: ['name', 'x'], rows, header: true, terminalColumns: undefined}).split(
    '\n',
  );
  expect(lines.map((line) => cellWidth(line.slice(0, -1)))).toEqual([8, 8, 8, 8]);
});
