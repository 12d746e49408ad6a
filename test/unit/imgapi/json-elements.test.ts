/** Arrays read piece by piece are those that JSON.parse reads, and what it refuses is refused, wherever the pieces are cut. */
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {ElementScanner, NotAnArray} from '../../../src/imgapi/json-elements.ts';

/** The elements, or why there are none. */
function readIn(pieces: readonly Buffer[]): unknown {
  const scanner = new ElementScanner();
  const elements: unknown[] = [];
  try {
    for (const piece of pieces) elements.push(...scanner.push(piece));
    scanner.finish();
    return elements;
  } catch (error) {
    if (error instanceof NotAnArray) return error.isJson ? 'no array' : 'no JSON';
    throw error;
  }
}

function readWhole(text: Buffer): unknown {
  try {
    const value: unknown = JSON.parse(text.toString());
    return Array.isArray(value) ? value : 'no array';
  } catch {
    return 'no JSON';
  }
}

function cut(text: Buffer, size: number): Buffer[] {
  return Array.from({length: Math.ceil(text.length / size)}, (_, index) =>
    text.subarray(index * size, (index + 1) * size),
  );
}

const anyArray = fc.tuple(fc.array(fc.jsonValue({maxDepth: 3}), {maxLength: 6}), fc.constantFrom(0, 1, '\t'));

describe('an array in pieces', () => {
  test('has the elements that it has as a whole', () => {
    fc.assert(
      fc.property(anyArray, fc.integer({min: 1, max: 40}), ([value, indent], size) => {
        const text = Buffer.from(` ${JSON.stringify(value, null, indent)}\n`);
        expect(readIn(cut(text, size))).toEqual(readWhole(text));
      }),
      {numRuns: 300},
    );
  });

  test('that is broken somewhere is refused as it is as a whole', () => {
    const change = fc.tuple(fc.nat(), fc.constantFrom(',', '[', ']', '{', '}', '"', '\\', ' ', '', '1', 'ä'));
    fc.assert(
      fc.property(
        anyArray,
        change,
        fc.integer({min: 1, max: 9}),
        ([value, indent], [at, character], size) => {
          const whole = JSON.stringify(value, null, indent);
          const place = at % (whole.length + 1);
          const text = Buffer.from(`${whole.slice(0, place)}${character}${whole.slice(place + 1)}`);
          expect(readIn(cut(text, size))).toEqual(readWhole(text));
        },
      ),
      {numRuns: 1000},
    );
  });

  test.each([
    ...[
      '',
      ' ',
      '[',
      '[1',
      '[1,',
      '[1,]',
      '[,1]',
      '[,]',
      '[ , ]',
      '[]]',
      '[] []',
      '[1 2]',
      '[1],',
      '{}',
      '{',
      'null',
    ],
    ...[
      '"[1]"',
      '[{]}',
      '[{"a":1}}',
      '[[1],[2,3],[]]',
      '[{"a":"]\\\\\\"}, ["}]',
      '[\u00a0]',
      '\ufeff[1]',
      '[tru',
      '[nul,1]',
    ],
  ])('%j is what JSON.parse makes of it, in pieces of any size', (text) => {
    const bytes = Buffer.from(text);
    for (const size of [1, 2, 3, 100]) expect(readIn(cut(bytes, size))).toEqual(readWhole(bytes));
  });

  test('gives elements as soon as they are whole', () => {
    const scanner = new ElementScanner();
    expect(scanner.push(Buffer.from('[{"a": 1}, {"b":'))).toEqual([{a: 1}]);
    expect(scanner.push(Buffer.from(' 2}, 3'))).toEqual([{b: 2}]);
    expect(scanner.push(Buffer.from(']'))).toEqual([3]);
    scanner.finish();
  });
});
