import {expect, test} from 'vitest';
import {chooseApiVersion} from '../../../src/server/api-version.ts';

test.each([
  [undefined, 1],
  ['~1', 1],
  ['1', 1],
  ['1.0.0', 1],
  ['~2', 2],
  ['2', 2],
  ['2.0.0', 2],
  ['^2', 2],
  ['*', 2],
  ['>=1', 2],
])('Accept-Version %s means version %i', (range, version) => {
  expect(chooseApiVersion(range, 'GET /ping')).toBe(version);
});

test.each(['~3', '3.0.0', 'bogus', '2.1', '>=3', ''])('Accept-Version "%s" is refused', (range) => {
  expect(() => chooseApiVersion(range, 'GET /ping')).toThrow(`${range} is not supported by GET /ping`);
});
