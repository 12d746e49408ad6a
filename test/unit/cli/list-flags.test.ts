/** Columns, sizes and times of lists (ux.md §4.1, §4.2). */
import {describe, expect, test} from 'vitest';
import {drawRows, fieldsHelp, type ListFlagValues, selectRows} from '../../../src/cli/list-flags.ts';
import {relativeTime} from '../../../src/cli/relative-time.ts';

const row = {
  manifest: {
    uuid: '3e6ed30f-64c7-431d-9fee-888be6361632',
    name: 'base',
    version: '1.10.0',
    type: 'lx-dataset',
    os: 'linux',
    state: 'active',
    published_at: '2026-04-17T09:12:00.000Z',
    files: [{size: 149_300_000}],
    tags: {arch: 'amd64'},
  },
  source: 'https://images.example.com',
  clones: 2,
};
const plain: ListFlagValues = {'no-header': false, columns: undefined, sort: undefined, wide: false};
const defaultColumns = ['uuid', 'name', 'version', 'os', 'published'];

function draw(flags: Partial<ListFlagValues>, terminalColumns?: number): string[] {
  return drawRows([row], {...plain, ...flags}, {defaultColumns, look: {terminalColumns}}).split('\n');
}

describe('a list', () => {
  test('has the columns of imgadm, and more with --long', () => {
    expect(draw({})[0]?.split(/ +/)).toEqual(['UUID', 'NAME', 'VERSION', 'OS', 'PUBLISHED']);
    const [head = '', line = ''] = draw({long: true});
    expect(head.split(/ +/).slice(5)).toEqual(['TYPE', 'ARCH', 'SIZE', 'SOURCE', 'STATE', 'USED']);
    expect(line.split(/ {2,}/).slice(4)).toEqual([
      '2026-04-17T09:12:00Z',
      'lx-dataset',
      'amd64',
      '142.3 MiB',
      'https://images.example.com',
      'active',
      '2',
    ]);
  });

  test('keeps bytes as imgadm prints them where columns are named', () => {
    expect(draw({columns: 'size', long: true})[1]).toBe('149300000');
  });

  test('is shortened on a terminal only, and not with --wide or named columns', () => {
    expect(draw({}, 70)[1]).toContain('…');
    for (const lines of [draw({}), draw({wide: true}, 70), draw({columns: defaultColumns.join(',')}, 70)])
      expect(lines[1]).toContain('2026-04-17T09:12:00Z');
  });

  test('tells times as distances with --relative, and only then', () => {
    expect(draw({relative: true})[1]).toMatch(/ {2}\d+ \w+ (ago)$|in \d+ \w+$/);
    expect(draw({})[1]).toMatch(/ {2}2026-04-17T09:12:00Z$/);
  });

  test('tells the fields there are, with what each means', () => {
    const lines = fieldsHelp().split('\n');
    for (const name of ['uuid', 'size', 'arch', 'used'])
      expect(lines.some((line) => line.startsWith(`${name} `))).toBe(true);
    for (const line of lines) expect(line).toMatch(/^\S+ {2,}\S/);
  });
});

describe('filters and sorting', () => {
  const rows = [
    {
      manifest: {
        uuid: 'a',
        name: 'x',
        version: '1.9.0',
        files: [{size: 10}],
        published_at: '2026-01-01T00:00:00Z',
      },
    },
    {
      manifest: {
        uuid: 'b',
        name: 'y',
        version: '1.10.0',
        files: [{size: 3 << 20}],
        published_at: '2026-02-01T00:00:00Z',
      },
    },
    {manifest: {uuid: 'c', name: 'xy', files: [{size: 3_000_000}], published_at: '2026-02-01T00:00:00Z'}},
  ];
  const found = (filters: string[], sort?: string): string =>
    selectRows(rows, {...plain, sort}, filters)
      .map(({manifest}) => manifest.uuid)
      .join('');

  test.each([
    [['name=x'], 'a'],
    [['name=~x'], 'ac'],
    [['name!=x'], 'cb'],
    [['version>=1.10'], 'b'],
    [['size>=3M'], 'b'],
    [['size>=3MB'], 'cb'],
    [['size>=3MiB'], 'b'],
    [['published_at>=2026-02'], 'cb'],
    [['name=~x', 'size>=1M'], 'c'],
  ])('%j keep %s', (filters, uuids) => {
    expect(found(filters)).toBe(uuids);
  });

  test.each([
    [undefined, 'acb'],
    ['size', 'acb'],
    ['-size', 'bca'],
    ['-published_at', 'bca'],
    ['-published_at,name', 'cba'],
  ])('sorted by %s they are %s', (sort, uuids) => {
    expect(found([], sort)).toBe(uuids);
  });
});

test.each([
  [-30, '30 seconds ago'],
  [-1, '1 second ago'],
  [0, '0 seconds ago'],
  [-59 * 60, '59 minutes ago'],
  [-90_000, '1 day ago'],
  [-3 * 86_400, '3 days ago'],
  [-14 * 86_400, '2 weeks ago'],
  [-400 * 86_400, '1 year ago'],
  [7200, 'in 2 hours'],
])('%i seconds from now is "%s"', (seconds, text) => {
  const now = Date.parse('2026-04-17T09:12:00Z');
  expect(relativeTime(new Date(now + seconds * 1000).toISOString(), now)).toBe(text);
  expect(relativeTime('never', now)).toBe('never');
});
