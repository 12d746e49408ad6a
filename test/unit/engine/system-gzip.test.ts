/** gzip by native code behaves as the stream of Node does, whose refusals it must keep. */
import {execFileSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {expect, test} from 'vitest';
import {decoderTools} from '../../../src/engine/embedded/decoder-tools.ts';
import {decompress} from '../../../src/formats/decompress.ts';
import {chunksOf, expectPartsToStay, flipped, mixedContents, unpackNatively} from '../../support/decoded.ts';

function pack(bytes: Buffer, ...options: string[]): Buffer {
  return execFileSync('gzip', ['-c', ...options], {input: bytes, maxBuffer: 1 << 26});
}

const unpack = unpackNatively.bind(undefined, 'gzip');

/** A member with a name, a comment and extra fields in its header. */
const named = Buffer.concat([
  Buffer.from('1f8b081c00000000000304006162', 'hex'),
  Buffer.from('cdname\0comment\0'),
  pack(Buffer.from('named')).subarray(10),
]);

test('members of every kind in a row, and padding behind them, give their bytes', async () => {
  const empty = pack(Buffer.alloc(0));
  const members = [
    pack(mixedContents),
    empty,
    pack(mixedContents, '-1'),
    named,
    empty,
    pack(mixedContents, '-9'),
  ];
  const expected = Buffer.concat([mixedContents, mixedContents, Buffer.from('named'), mixedContents]);
  for (const padding of [0, 1, 100_000]) {
    const bytes = Buffer.concat([...members, Buffer.alloc(padding)]);
    for (const chunkBytes of [977, 70_001, bytes.length])
      expect((await unpack(bytes, {}, chunkBytes)).equals(expected)).toBe(true);
  }
  expect(await unpack(empty, {}, 1)).toHaveLength(0);
});

test('with few buffers each part stays as it is for seven more, in members of any length', async () => {
  const whole = Buffer.concat([
    randomBytes(5_000_000),
    Buffer.alloc(6_000_000),
    mixedContents,
    randomBytes(1 << 21),
  ]);
  for (let at = 1 << 16; at + 300 < whole.length; at += 5000) whole.copyWithin(at, at - 32_768, at - 32_500);
  const packed = Buffer.concat([pack(whole, '-1'), pack(mixedContents), pack(whole, '-6')]);
  const expected = Buffer.concat([whole, mixedContents, whole]);
  await expectPartsToStay('gzip', packed, expected);
});

test('cut, damaged or followed by other data it fails by name', async () => {
  const packed = pack(mixedContents);
  const padded = Buffer.concat([packed, Buffer.alloc(1000)]);
  const cuts = [2, 3, 9, 11, 1000, packed.length - 9, packed.length - 5, packed.length - 1];
  const wrong: [Buffer, string][] = [
    ...cuts.map((end): [Buffer, string] => [packed.subarray(0, end), 'ends too early']),
    [Buffer.concat([packed, packed.subarray(0, 5)]), 'ends too early'],
    [flipped(packed, packed.length - 1), 'damaged data'],
    [flipped(packed, packed.length - 5), 'damaged data'],
    [flipped(packed, 2), 'damaged data'],
    [Buffer.concat([packed, Buffer.from('x')]), 'other data after the end'],
    [Buffer.concat([packed, Buffer.from([0x1f])]), 'other data after the end'],
    [Buffer.concat([padded, packed]), 'other data after the end'],
    [Buffer.concat([padded, Buffer.from('tail')]), 'other data after the end'],
  ];
  for (const [bytes, text] of wrong) {
    for (const chunkBytes of [70_001, 1021]) {
      const failed = unpack(bytes, {}, chunkBytes);
      await expect(failed, text).rejects.toMatchObject({code: 'UncompressionError'});
      await expect(failed).rejects.toThrow(text);
    }
  }
});

test('more than the limit of all bytes is refused while it is decoded', async () => {
  const bomb = pack(Buffer.alloc(40_000_000));
  await expect(unpack(bomb, {maxOutputBytes: 1_000_000})).rejects.toMatchObject({code: 'LimitExceeded'});
});

test('who stops early stops the decoder and the source', async () => {
  let isClosed = false;
  async function* endless() {
    try {
      for (;;) yield* chunksOf(pack(mixedContents), 70_001);
    } finally {
      isClosed = true;
    }
  }
  for await (const part of decompress(endless(), 'gzip', {replacements: decoderTools()}))
    if (part.length > 0) break;
  expect(isClosed).toBe(true);
});

test('a failure of the source comes out as it is', async () => {
  async function* failing() {
    yield pack(mixedContents).subarray(0, 100_000);
    throw new Error('the source failed');
  }
  const chunks = decompress(failing(), 'gzip', {replacements: decoderTools()});
  await expect(async () => {
    for await (const _ of chunks);
  }).rejects.toThrow('the source failed');
});
