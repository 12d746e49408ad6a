import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {cellText, drawTable, escapeControls} from '../../../src/cli/table.ts';

const columns = ['uuid', 'name', 'os'];
const word = fc.string({unit: fc.constantFrom(...'abcdé-_. '), minLength: 1, maxLength: 20});
const cell = word.filter((text) => text.trim() === text && text !== '');
const row = fc.tuple(cell, cell, cell);

describe('drawTable', () => {
  test('pads every column but the last, two spaces apart, heads in upper case', () => {
    const rows = [
      ['1', 'long name', 'linux'],
      ['2', 'b', '-'],
    ];
    const options = {columns, rows, header: true, terminalColumns: undefined};
    expect(drawTable(options).split('\n')).toEqual([
      'UUID  NAME       OS',
      '1     long name  linux',
      '2     b          -',
    ]);
    expect(drawTable({...options, header: false}).split('\n')[0]).toBe('1     long name  linux');
    expect(drawTable({...options, rows: []})).toBe('');
  });

  test('prints the same on a terminal with room enough as into a pipe', () => {
    fc.assert(
      fc.property(fc.array(row, {minLength: 1, maxLength: 8}), fc.boolean(), (rows, header) => {
        const options = {columns, rows, header};
        const plain = drawTable({...options, terminalColumns: undefined});
        expect(drawTable({...options, terminalColumns: 200})).toBe(plain);
        const widest = Math.max(...plain.split('\n').map((line) => [...line].length));
        expect(drawTable({...options, terminalColumns: Math.max(widest, 8)}).split('\n')).toHaveLength(
          rows.length + (header ? 1 : 0),
        );
      }),
      {numRuns: 200},
    );
  });

  test('never pads the last column, and never shortens into a pipe', () => {
    fc.assert(
      fc.property(fc.array(row, {minLength: 1, maxLength: 8}), (rows) => {
        const lines = drawTable({columns, rows, header: true, terminalColumns: undefined}).split('\n');
        lines.slice(1).forEach((line, index) => {
          expect(line).toBe(line.trimEnd());
          for (const text of rows[index] ?? []) expect(line).toContain(text);
        });
      }),
    );
  });

  test('shortens what is wide on a terminal, a line a row, never a UUID', () => {
    const uuid = '3e6ed30f-64c7-431d-9fee-888be6361632';
    const rows = [[uuid, 'n'.repeat(100), 'linux']];
    const drawn = drawTable({columns, rows, header: true, terminalColumns: 60}).split('\n');
    expect(drawn).toHaveLength(2);
    expect(drawn[1]).toMatch(new RegExp(`^${uuid}  n{3,16}…  linux$`));
    for (const line of drawn) expect([...line].length).toBeLessThanOrEqual(60);
    const plain = drawTable({columns, rows, header: false, terminalColumns: 60, ellipsis: '...'});
    expect(plain).toMatch(new RegExp(`^${uuid}  n{3,14}[.]{3}  linux$`));
    const sources = {
      columns: ['url', 'error'],
      rows: [['http://h/'.repeat(9), 'e'.repeat(99)]],
      header: false,
    };
    expect(drawTable({...sources, terminalColumns: 60})).toMatch(/^(http:[/][/]h[/]){9} {2}e+…$/);
  });

  test('counts characters, whatever they are made of', () => {
    const rows = [
      ['1', '𝔟𝔞𝔰𝔢', 'x'],
      ['2', 'base', 'x'],
    ];
    const drawn = drawTable({columns, rows, header: false, terminalColumns: undefined});
    expect(drawn).toBe('1     𝔟𝔞𝔰𝔢  x\n2     base  x');
  });

  test('draws ten thousand rows at once, on a terminal too', () => {
    const rows = Array.from({length: 10_000}, () => ['u', 'n'.repeat(200), 'linux']);
    const start = performance.now();
    drawTable({columns, rows, header: true, terminalColumns: 80});
    expect(performance.now() - start).toBeLessThan(1000);
  });
});

test.each([
  [undefined, '-'],
  [null, '-'],
  ['', ''],
  ['text', 'text'],
  [0, '0'],
  [1.5, '1.5'],
  [true, 'true'],
  [['a', 1], '["a",1]'],
  [{a: {b: null}}, '{"a":{"b":null}}'],
  ['red\u001b[31m', 'red\\x1b[31m'],
  [{a: '\u009b31m'}, '{"a":"\\x9b31m"}'],
])('the cell of %j is %j', (value, text) => {
  expect(cellText(value)).toBe(text);
});

test('escapeControls leaves no character that moves the cursor, and everything else as it is', () => {
  fc.assert(
    fc.property(fc.string({unit: 'binary', maxLength: 50}), (text) => {
      const escaped = escapeControls(text);
      return [...escaped].every((character) => /[^\p{Cc}]/u.test(character));
    }),
  );
  expect(escapeControls('naïve ✓ 日本\t\n')).toBe('naïve ✓ 日本\\x09\\x0a');
  expect(escapeControls('x\u202egnp.exe\u2066')).toBe('x\\u202egnp.exe\\u2066');
});
