import {describe, expect, test} from 'vitest';
import {
  drawLegacyTable,
  legacyJson,
  legacySize,
  transferColumns,
  transferRow,
} from '../../../../src/cli/importctl/lists.ts';

const transfer = {
  id: 1,
  type: 'pull-raw',
  imageClass: 'machine',
  localName: 'big',
  remote: 'http://127.0.0.1:8080/slow/big.raw',
  fraction: 0.159,
} as const;

describe('lists of importctl', () => {
  test('are tables with one space between columns, numbers on the right', () => {
    expect(drawLegacyTable(transferColumns, [transferRow(transfer)], true)).toEqual([
      'ID PROGRESS TYPE     CLASS   LOCAL REMOTE',
      ' 1      15% pull-raw machine big   http://127.0.0.1:8080/slow/big.raw',
    ]);
  });

  test('show a dash for progress that is not known, and nothing for names that are not there', () => {
    expect(transferRow({...transfer, fraction: undefined, localName: '', remote: ''})).toEqual([
      '1',
      '-',
      'pull-raw',
      'machine',
      '',
      '',
    ]);
  });

  test('let no name write to the terminal', () => {
    expect(transferRow({...transfer, remote: 'http://x/\u001b[2J'})[5]).not.toContain('\u001b');
  });

  test.each([
    [undefined, '-'],
    [0, '0B'],
    [1023, '1023B'],
    [1024, '1K'],
    [258_355, '252.2K'],
    [4 << 20, '4M'],
    [3 * 2 ** 30 + 2 ** 29, '3.5G'],
  ])('%s bytes are %s', (bytes, text) => {
    expect(legacySize(bytes)).toBe(text);
  });

  test('are JSON with tabs and a blank before the colon, or short', () => {
    expect(legacyJson([{id: 1, progress: null}], 'pretty')).toBe(
      '[\n\t{\n\t\t"id" : 1,\n\t\t"progress" : null\n\t}\n]',
    );
    expect(legacyJson([{id: 1}], 'short')).toBe('[{"id":1}]');
  });
});
