import {expect, test} from 'vitest';
import {parseByteRange} from '../../../src/server/byte-range.ts';

test.each([
  ['bytes=0-9', {first: 0, last: 9}],
  ['bytes=90-', {first: 90, last: 99}],
  ['bytes=90-1000', {first: 90, last: 99}],
  ['bytes=-10', {first: 90, last: 99}],
  ['bytes=-1000', {first: 0, last: 99}],
  ['bytes=100-', 'none'],
  ['bytes=-0', 'none'],
  ['bytes=9-8', 'all'],
  ['bytes=0-1,3-4', 'all'],
  ['lines=0-1', 'all'],
  ['bytes=-', 'all'],
  ['', 'all'],
  [undefined, 'all'],
])('%s of 100 bytes', (header, expected) => {
  expect(parseByteRange(header, 100)).toEqual(expected);
});
