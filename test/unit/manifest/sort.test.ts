import {describe, expect, it} from 'vitest';
import {parseSort, sortRows} from '../../../src/manifest/sort.ts';

const rows = (field: string, values: unknown[]) =>
  values.map((value, index) => ({manifest: value === undefined ? {index} : {[field]: value, index}}));
const sorted = (text: string, field: string, values: unknown[]) =>
  sortRows(rows(field, values), parseSort(text)).map(
    ({manifest}) => (manifest as Record<string, unknown>)[field],
  );

describe('parseSort', () => {
  it('reads fields, directions and blanks', () => {
    expect(parseSort('published_at, -name,tags.x')).toEqual([
      {path: 'published_at', descending: false},
      {path: 'name', descending: true},
      {path: 'tags.x', descending: false},
    ]);
  });

  it.each([
    ['', 'empty sort field in ""'],
    ['name,', 'empty sort field in "name,"'],
    ['-', 'empty sort field in "-"'],
    ['nam', 'unknown field "nam"; did you mean "name"?'],
  ])('refuses %j', (text, message) => {
    expect(() => parseSort(text)).toThrow(expect.objectContaining({code: 'Usage', message}));
  });
});

describe('sortRows', () => {
  it('compares as numbers what turns into numbers', () => {
    expect(sorted('version', 'version', ['10', '9', 8, '1.10'])).toEqual(['1.10', 8, '9', '10']);
  });

  it('compares everything else as text, capitals first', () => {
    expect(sorted('name', 'name', ['b', 'a', 'B', '10', 'a1'])).toEqual(['10', 'B', 'a', 'a1', 'b']);
  });

  it('puts missing values first, and last when reversed', () => {
    expect(sorted('name', 'name', ['a', undefined, 'b', null])).toEqual([undefined, null, 'a', 'b']);
    expect(sorted('-name', 'name', ['a', undefined, 'b', null])).toEqual(['b', 'a', undefined, null]);
  });

  it('keeps the order of equal rows, reversed or not', () => {
    const equal = rows('name', ['x', 'x', 'x']);
    expect(sortRows(equal, parseSort('-name'))).toEqual(equal);
    expect(sortRows(equal, parseSort('name'))).toEqual(equal);
  });

  it('takes the first key as the most significant and reverses only the marked one', () => {
    const list = ['a1', 'b2', 'a2', 'b1'].map((text) => ({manifest: {name: text[0], version: text[1]}}));
    const order = sortRows(list, parseSort('name,-version')).map(
      ({manifest}) => `${manifest.name}${manifest.version}`,
    );
    expect(order).toEqual(['a2', 'a1', 'b2', 'b1']);
  });

  it('sorts by computed fields and leaves its input alone', () => {
    const list = [
      {manifest: {}, clones: 2},
      {manifest: {}, clones: 1},
    ];
    expect(sortRows(list, parseSort('clones')).map(({clones}) => clones)).toEqual([1, 2]);
    expect(list.map(({clones}) => clones)).toEqual([2, 1]);
  });
});
