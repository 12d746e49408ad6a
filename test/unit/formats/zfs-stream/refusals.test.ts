/** Streams that need more than this reader has are refused by name at their first record. */
import {describe, expect, test} from 'vitest';
import {decodeStreams, recordedStream} from '../../../support/zfs-stream.ts';
import {TestStream} from '../../../support/zfs-writer.ts';

const good = recordedStream('zvol-16K-c');
const versionAt = 16;

/** Only its first record is there, so nothing behind it can matter. */
function withFeature(bit: bigint): Buffer {
  const stream = Buffer.from(good.subarray(0, 312));
  stream.writeBigUInt64LE(stream.readBigUInt64LE(versionAt) | (1n << (bit + 2n)), versionAt);
  return stream;
}

describe('a feature', () => {
  test.each([
    [0n, 'is deduplicated (zfs send -D)'],
    [20n, 'is the rest of a resumed one (zfs send -t)'],
    [21n, 'is redacted'],
    [24n, 'is encrypted (zfs send --raw)'],
    [28n, 'has names of more than 255 bytes'],
    [3n, 'uses feature 3, which is not known'],
    [40n, 'uses feature 40, which is not known'],
    [61n, 'uses feature 61, which is not known'],
  ])('of bit %s is refused', async (bit, what) => {
    await expect(decodeStreams([withFeature(bit)])).rejects.toMatchObject({
      code: 'NotSupported',
      message: `The ZFS stream cannot be read: it ${what}`,
    });
  });

  test.each([[1n], [26n], [27n], [29n]])('of bit %s changes nothing', async (bit) => {
    await expect(decodeStreams([withFeature(bit)])).rejects.toThrow(/truncated/);
  });
});

test('a stream of a big-endian machine is refused as one', async () => {
  const swapped = Buffer.from(good.subarray(0, 312));
  swapped.swap64();
  await expect(decodeStreams([swapped])).rejects.toMatchObject({
    code: 'NotSupported',
    message: 'The ZFS stream cannot be read: it was made on a big-endian machine',
  });
});

test.each([
  [6, 'NotSupported', /deduplicated/],
  [9, 'NotSupported', /encrypted/],
  [10, 'NotSupported', /redacted/],
  [11, 'InvalidArchive', /record of type 11/],
])('a record of type %s is refused, whatever the features say', async (type, code, message) => {
  const stream = new TestStream();
  const begin = stream.begin({kind: 'volume', guid: '1', name: 'x'});
  const record = stream.ofType(type);
  await expect(decodeStreams([Buffer.concat([begin, record])])).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message),
  });
});

test('two datasets in one compound stream are refused', async () => {
  const dataset = (guid: string) => {
    const stream = new TestStream();
    return Buffer.concat([stream.begin({kind: 'volume', guid, name: `x@${guid}`}), stream.end()]);
  };
  const [frameEnd, lastEnd] = [Buffer.alloc(312), Buffer.alloc(312)];
  const frame = recordedStream('zvol-8K-p');
  const first = frame.subarray(0, 312 + frame.readUInt32LE(4));
  frame.copy(frameEnd, 0, first.length, first.length + 312);
  lastEnd.writeUInt32LE(5, 0);
  const stream = Buffer.concat([first, frameEnd, dataset('1'), dataset('2'), lastEnd]);
  await expect(decodeStreams([stream])).rejects.toMatchObject({
    code: 'NotSupported',
    message: 'The ZFS stream cannot be read: it holds several datasets',
  });
});
