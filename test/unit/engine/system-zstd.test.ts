/** zstd by the library itself behaves as the decoder of Node's streams does, whose refusals it must keep. */
import {execFileSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {expect, test} from 'vitest';
import {decoderTools} from '../../../src/engine/embedded/decoder-tools.ts';
import {decompress} from '../../../src/formats/decompress.ts';
import {ZstdDecoder} from '../../../src/sys/zstd-codec.ts';
import {chunksOf, expectPartsToStay, flipped, mixedContents, unpackNatively} from '../../support/decoded.ts';

const skippable = Buffer.from('5f2a4d180500000068656c6c6f', 'hex');

function pack(bytes: Buffer, ...options: string[]): Buffer {
  return execFileSync('zstd', ['-cq', ...options], {input: bytes, maxBuffer: 1 << 28});
}

const unpack = unpackNatively.bind(undefined, 'zstd');

test('the library is there', () => expect(ZstdDecoder.open()).toBeDefined());

test('frames of every kind in a row, and skippable ones between them, give their bytes', async () => {
  const options = [['--no-check'], ['--check'], ['-19'], ['--fast'], ['--single-thread'], ['-T2', '-B512K']];
  const frames = options.map((list) => pack(mixedContents, ...list));
  const empty = pack(Buffer.alloc(0));
  const bytes = Buffer.concat([skippable, ...frames.flatMap((frame) => [frame, empty, skippable])]);
  const expected = Buffer.concat(frames.map(() => mixedContents));
  for (const chunkBytes of [977, 70_001, bytes.length])
    expect((await unpack(bytes, {}, chunkBytes)).equals(expected)).toBe(true);
  expect(await unpack(empty, {}, 1)).toHaveLength(0);
});

/** Copies of what came earlier, from near and from far, so that decoders look back as far as they may. */
function echoes(length: number): Buffer {
  const bytes = randomBytes(length);
  for (let at = 1 << 16; at + 4096 < length; at += 6000) {
    const back = Math.min(at, 1 + (((at * 2654435761) >>> 8) % (6 << 20)));
    bytes.copyWithin(at, at - back, at - back + 4096);
  }
  return bytes;
}

test('with few buffers each part stays as it is for seven more, in frames of any window', async () => {
  const whole = echoes(20 << 20);
  const options = [
    ['--zstd=wlog=10'],
    ['-1'],
    ['--long=23', '-3'],
    ['--zstd=wlog=14', '-T2', '-B512K'],
    ['-19', '--zstd=wlog=20'],
  ];
  const packed = Buffer.concat(options.map((list) => pack(whole, ...list)));
  const expected = Buffer.concat(options.map(() => whole));
  await expectPartsToStay('zstd', packed, expected);
});

test('cut, damaged or followed by other data it fails by name', async () => {
  const packed = pack(mixedContents, '--check');
  const cuts = [1, 3, 5, 9, 1000, packed.length - 5, packed.length - 1];
  const wrong: [Buffer, string][] = [
    ...cuts.map((end): [Buffer, string] => [packed.subarray(0, end), 'ends too early']),
    [skippable.subarray(0, 10), 'ends too early'],
    [Buffer.concat([packed, skippable.subarray(0, 6)]), 'ends too early'],
    [flipped(packed, packed.length - 1), 'damaged data'],
    [flipped(packed, 100_000), 'damaged data'],
    [Buffer.concat([packed, Buffer.from('something else')]), 'other data after the end'],
    [Buffer.concat([packed, Buffer.from('x')]), 'other data after the end'],
    [flipped(packed, 3), 'no zstd magic'],
  ];
  for (const [bytes, text] of wrong) {
    const failed = unpack(bytes);
    await expect(failed, text).rejects.toMatchObject({code: 'UncompressionError'});
    await expect(failed).rejects.toThrow(text);
  }
});

test('a window above the limit is refused before anything comes out, in a later frame too', async () => {
  const wide = pack(mixedContents, '--long=27', '--no-content-size');
  const late = Buffer.concat([pack(Buffer.from('first')), wide]);
  for (const bytes of [wide, late]) {
    const failed = unpack(bytes, {maxWindowBytes: 1 << 20});
    await expect(failed).rejects.toMatchObject({code: 'LimitExceeded'});
    await expect(failed).rejects.toThrow('a window of');
  }
  expect((await unpack(wide)).equals(mixedContents)).toBe(true);
});

test('a frame that needs a dictionary is refused', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-dictionary-'));
  const samples = Array.from({length: 20}, (_, index) => path.join(directory, `sample-${index}`));
  for (const [index, file] of samples.entries())
    writeFileSync(file, `sample ${index}, of a text that repeats, `.repeat(100 + index));
  const dictionary = path.join(directory, 'dictionary');
  execFileSync('zstd', ['-q', '--train', ...samples, '--maxdict=4096', '-o', dictionary]);
  const failed = unpack(pack(mixedContents, '-D', dictionary));
  await expect(failed).rejects.toMatchObject({code: 'UncompressionError'});
  await expect(failed).rejects.toThrow('dictionary');
  rmSync(directory, {recursive: true});
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
  for await (const part of decompress(endless(), 'zstd', {replacements: decoderTools()}))
    if (part.length > 0) break;
  expect(isClosed).toBe(true);
});

test('a failure of the source comes out as it is', async () => {
  async function* failing() {
    yield pack(mixedContents).subarray(0, 100_000);
    throw new Error('the source failed');
  }
  const chunks = decompress(failing(), 'zstd', {replacements: decoderTools()});
  await expect(async () => {
    for await (const _ of chunks);
  }).rejects.toThrow('the source failed');
});
