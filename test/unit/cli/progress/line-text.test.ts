/** The lines of progress (ux.md §6, §4.6), number by number. */
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import type {ProgressUpdate} from '../../../../src/actions/context.ts';
import {cellWidth} from '../../../../src/cli/cell-width.ts';
import {
  type BarView,
  barLine,
  plainEnd,
  plainText,
  spokenText,
} from '../../../../src/cli/progress/line-text.ts';
import {Track} from '../../../../src/cli/progress/track.ts';

const mebi = 2 ** 20;
const view: BarView = {
  title: 'base-64@26.1.0',
  phase: 'download',
  share: 0.61,
  doneBytes: 86.9 * mebi,
  rate: 18.4 * mebi,
  secondsLeft: 3,
  ageMs: 5000,
};
const look = {isAscii: false, ellipsis: '…', titleCells: 14};

/** A track that has seen these updates, given as seconds and bytes. */
function track(
  phase: ProgressUpdate['phase'],
  totalBytes: number | undefined,
  moves: [number, number][],
): Track {
  const [[seconds, doneBytes] = [0, 0], ...rest] = moves;
  const update = {uuid: 'u', title: 't', phase, totalBytes};
  const made = new Track({...update, doneBytes}, seconds * 1000);
  for (const [later, bytes] of rest) made.move({...update, doneBytes: bytes}, later * 1000);
  return made;
}

describe('a bar', () => {
  test.each([
    [40, 'base-64@26.1…  download  61%    86.9 MiB'],
    [60, 'base-64@26.1.0  download  61%    86.9 MiB      3s'],
    [80, 'base-64@26.1.0  download  [=======>     ]  61%    86.9 MiB    18.4 MiB/s      3s'],
    [200, 'base-64@26.1.0  download  [==============>         ]  61%    86.9 MiB    18.4 MiB/s      3s'],
  ])('at %i columns has what fits, its numbers first', (columns, line) => {
    expect(barLine(view, {...look, columns})).toBe(line);
  });

  test('never takes more cells than there are, whatever the title is made of', () => {
    const title = fc.string({
      unit: fc.constantFrom('a', '-', '日', '𝔟', 'e\u0301'),
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(
      fc.property(title, fc.integer({min: 1, max: 120}), (text, columns) => {
        const line = barLine({...view, title: text}, {...look, columns, titleCells: cellWidth(text)});
        expect(cellWidth(line)).toBeLessThanOrEqual(columns);
      }),
    );
  });

  test('has its columns where they were, whatever the numbers', () => {
    const at = (more: Partial<BarView>): number[] => {
      const line = barLine({...view, ...more}, {...look, columns: 100});
      return ['[', ']', '%', 'B  '].map((mark) => line.indexOf(mark));
    };
    const usual = at({});
    expect(at({share: 0.01, doneBytes: 1023.9 * mebi, rate: 3, secondsLeft: 7200})).toEqual(usual);
    expect(at({rate: undefined, secondsLeft: undefined}).slice(0, 3)).toEqual(usual.slice(0, 3));
    expect(at({stalledSeconds: 12}).slice(0, 3)).toEqual(usual.slice(0, 3));
  });

  test('says 99 % at most: only what is installed is whole', () => {
    expect(barLine({...view, share: 1}, {...look, columns: 100})).toContain(' 99%');
  });

  test('says that nothing comes, in place of rate and time left', () => {
    const line = barLine({...view, stalledSeconds: 12}, {...look, columns: 100});
    expect(line).toMatch(/86\.9 MiB +stalled 12s$/);
    expect(barLine({...view, stalledSeconds: 12}, {...look, columns: 50})).toContain('stalled 12s');
  });

  test('of an unknown total has a mark that moves, and no percentage', () => {
    const lines = [0, 250, 500].map((ageMs) =>
      barLine({...view, share: undefined, secondsLeft: undefined, ageMs}, {...look, columns: 100}),
    );
    expect(new Set(lines).size).toBe(3);
    for (const line of lines) {
      expect(line).toMatch(/\[ *<=> *\]/);
      expect(line).not.toContain('%');
      expect(line).toContain('86.9 MiB    18.4 MiB/s');
    }
  });

  test('is ASCII where nothing else is sure to show', () => {
    const ascii = {isAscii: true, ellipsis: '...', titleCells: 40, columns: 70};
    const line = barLine({...view, title: 'n'.repeat(40)}, ascii);
    expect(line).toMatch(/^n+\.\.\. {2}download/);
    expect(barLine(view, {...ascii, titleCells: 14, columns: 100})).toContain('[##############          ]');
  });
});

describe('a plain line', () => {
  test.each([
    ['at the start', track('download', 142.3 * mebi, [[0, 0]]), 0, 'download   0% (0 of 142.3 MiB)'],
    [
      'on the way',
      track('download', 142 * mebi, [
        [0, 0],
        [5, 25 * mebi],
        [10, 71 * mebi],
      ]),
      10,
      'download  50% (71.0 MiB of 142.0 MiB, 7.1 MiB/s, 10s left)',
    ],
    [
      'when nothing comes',
      track('download', 142 * mebi, [
        [0, 0],
        [5, 71 * mebi],
      ]),
      17,
      'download  50% (71.0 MiB of 142.0 MiB, stalled 12s)',
    ],
    [
      'of an unknown total',
      track('download', undefined, [
        [0, 0],
        [4, 8 * mebi],
      ]),
      4,
      'download (8.0 MiB, 2.0 MiB/s)',
    ],
  ])('%s', (_, made, seconds, text) => {
    expect(plainText(made, seconds * 1000)).toBe(text);
  });

  test('of a phase that is over tells how long it took', () => {
    const made = track('download', 142.3 * mebi, [
      [0, 0],
      [32, 142.3 * mebi],
    ]);
    expect(plainEnd(made, 32_000)).toBe('download 100% (142.3 MiB in 32s)');
  });

  test('of what is not counted in bytes has none', () => {
    const update = {uuid: 'u', title: 't', phase: 'pack', totalBytes: 100, isShare: true} as const;
    const made = new Track({...update, doneBytes: 0}, 0);
    made.move({...update, doneBytes: 50}, 5000);
    expect(plainText(made, 5000)).toBe('pack  50% (5s left)');
    expect(plainEnd(made, 9000)).toBe('pack 100% (9s)');
  });
});

test.each([
  [61, 142, 5, 'download 42 percent, 61 of 142 mebibytes, about 7 seconds left'],
  [0, 142, 0, 'download 0 percent, 0 of 142 mebibytes'],
])('in words: %i of %i MiB', (done, total, seconds, text) => {
  const made = track('download', total * mebi, [
    [0, 0],
    [seconds, done * mebi],
  ]);
  expect(spokenText(made, seconds * 1000)).toBe(text);
});

test('words have one unit, and one second', () => {
  const made = track('download', 1, [
    [0, 0],
    [4, 1],
  ]);
  expect(spokenText(made, 4000)).toBe('download 100 percent, 1 of 1 byte');
  const slow = track('download', 3 * mebi, [
    [0, 0],
    [4, 2 * mebi],
  ]);
  expect(spokenText(slow, 4000)).toMatch(/about 2 seconds left$/);
  expect(spokenText(slow, 20_000)).toMatch(/no data for 16 seconds$/);
});
