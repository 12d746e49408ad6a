/** Blocks decoded side by side come out as the tool makes of the whole; what is no bzip2 is refused by name. */
import {execFileSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {expect, test} from 'vitest';
import {decoderTools} from '../../../src/engine/embedded/decoder-tools.ts';
import {decompress} from '../../../src/formats/decompress.ts';
import {findBzip2Mark, hasBzip2Library} from '../../../src/sys/bzip2-decoder.ts';

const contents = Buffer.concat([
  randomBytes(700_000),
  Buffer.alloc(50_000_000),
  Buffer.from('some text that repeats, '.repeat(30_000)),
  randomBytes(1_500_000),
]);

function pack(bytes: Buffer, level = '-9'): Buffer {
  return execFileSync('bzip2', ['-c', level], {input: bytes, maxBuffer: 1 << 27});
}

async function* chunksOf(bytes: Buffer, size: number) {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

async function unpack(bytes: Buffer, chunkBytes = 70_001): Promise<Buffer> {
  const parts: Buffer[] = [];
  const chunks = decompress(chunksOf(bytes, chunkBytes), 'bzip2', {replacements: decoderTools()});
  for await (const part of chunks) parts.push(part);
  return Buffer.concat(parts);
}

/** Puts bits into the place of others. */
function withBits(bytes: Buffer, bit: number, hex: string): Buffer {
  const copy = Buffer.from(bytes);
  const bits = BigInt(`0x${hex}`)
    .toString(2)
    .padStart(hex.length * 4, '0');
  for (const [index, digit] of [...bits].entries()) {
    const mask = 0x80 >> ((bit + index) % 8);
    const at = Math.floor((bit + index) / 8);
    copy[at] = digit === '1' ? (copy[at] ?? 0) | mask : (copy[at] ?? 0) & ~mask;
  }
  return copy;
}

test('the library is there', () => expect(hasBzip2Library()).toBe(true));

test('many blocks, all sizes of blocks, several streams and empty ones give the bytes', async () => {
  expect((await unpack(pack(contents))).equals(contents)).toBe(true);
  const text = contents.subarray(50_600_000);
  for (const level of ['-1', '-5']) expect((await unpack(pack(text, level))).equals(text)).toBe(true);
  const streams = [pack(Buffer.from('one')), pack(Buffer.alloc(0)), pack(text, '-1'), pack(Buffer.alloc(0))];
  const all = Buffer.concat([Buffer.from('one'), text]);
  for (const chunkBytes of [977, 1 << 20])
    expect((await unpack(Buffer.concat(streams), chunkBytes)).equals(all)).toBe(true);
  expect(await unpack(pack(Buffer.alloc(0)))).toHaveLength(0);
});

test('marks are found at every bit, and not beyond the end', () => {
  for (const [isEnd, mark] of [
    [false, '314159265359'],
    [true, '177245385090'],
  ] as const) {
    for (let bit = 0; bit < 24; bit++) {
      const bytes = withBits(Buffer.alloc(12), bit, mark);
      expect(findBzip2Mark(bytes, 0)).toEqual({bit, isEnd});
      expect(findBzip2Mark(bytes, bit)).toEqual({bit, isEnd});
      expect(findBzip2Mark(bytes, bit + 1)).toBeUndefined();
      expect(findBzip2Mark(bytes.subarray(0, Math.ceil((bit + 48) / 8) - 1), 0)).toBeUndefined();
    }
  }
});

test('cut, damaged or followed by other data it fails by name', async () => {
  const packed = pack(contents.subarray(50_000_000));
  const damaged = Buffer.from(packed);
  damaged.writeUInt8(damaged.readUInt8(200_000) ^ 1, 200_000);
  const wrongEnd = Buffer.from(packed);
  wrongEnd.writeUInt8(wrongEnd.readUInt8(packed.length - 2) ^ 0xff, packed.length - 2);
  const wrong: [Buffer, string][] = [
    ...[2, 4, 9, 1000, packed.length - 6, packed.length - 1].map((end): [Buffer, string] => [
      packed.subarray(0, end),
      '',
    ]),
    [packed.subarray(0, 1000), 'ends too early'],
    [damaged, 'damaged data'],
    [wrongEnd, 'damaged data'],
    [Buffer.concat([packed, Buffer.from('something else')]), 'other data after the end'],
    [Buffer.concat([packed, Buffer.from('B')]), 'other data after the end'],
  ];
  for (const [bytes, text] of wrong) {
    const failed = unpack(bytes);
    await expect(failed).rejects.toMatchObject({code: 'UncompressionError'});
    await expect(failed).rejects.toThrow(text);
  }
});
