/** Rate and time left (ux.md §6): a moving average of ten seconds, and nothing while nobody can tell. */
import {expect, test} from 'vitest';
import {RateMeter} from '../../../../src/cli/progress/rate-meter.ts';

/** Bytes come evenly, several times a second. */
function feed(meter: RateMeter, from: number, to: number, bytesPerSecond: number, start: number): number {
  let bytes = start;
  for (let ms = from * 1000; ms < to * 1000; ms += 250) {
    bytes += bytesPerSecond / 4;
    meter.add(ms + 250, bytes);
  }
  return bytes;
}

test('nothing is told for the first two seconds', () => {
  const meter = new RateMeter(0, 0);
  feed(meter, 0, 3, 1000, 0);
  expect(meter.rate(1999)).toBeUndefined();
  expect(meter.secondsLeft(1999, 1000)).toBeUndefined();
  expect(meter.rate(3000)).toBeCloseTo(1000);
});

test('what was more than ten seconds ago is forgotten', () => {
  const meter = new RateMeter(0, 0);
  const bytes = feed(meter, 0, 20, 1000, 0);
  feed(meter, 20, 31, 100, bytes);
  expect(meter.rate(31_000)).toBeCloseTo(100, -1);
});

test('bytes that were there before count for nothing', () => {
  const meter = new RateMeter(0, 1e9);
  feed(meter, 0, 4, 1000, 1e9);
  expect(meter.rate(4000)).toBeCloseTo(1000);
});

test('the time left is hidden while it swings more than twofold, and comes back', () => {
  const meter = new RateMeter(0, 0);
  let bytes = feed(meter, 0, 4, 1000, 0);
  expect(meter.secondsLeft(4000, 100_000)).toBeCloseTo(100);
  bytes = feed(meter, 4, 5, 40_000, bytes);
  expect(meter.secondsLeft(5000, 100_000)).toBeUndefined();
  feed(meter, 5, 5.25, 40_000, bytes);
  expect(meter.secondsLeft(5250, 90_000)).toBeGreaterThan(5);
});

test('without bytes there is no time left', () => {
  const meter = new RateMeter(0, 0);
  feed(meter, 0, 4, 1000, 0);
  expect(meter.stillMs(5000)).toBe(1000);
  expect(meter.secondsLeft(30_000, 1000)).toBeUndefined();
});
