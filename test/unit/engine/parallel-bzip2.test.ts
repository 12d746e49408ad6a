/** Blocks decoded side by side come out as the tool makes of the whole; what is no bzip2 is refused by name. */
import {execFileSync, spawnSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {expect, test} from 'vitest';
import {decoderTools} from '../../../src/engine/embedded/decoder-tools.ts';
import {decompress} from '../../../src/formats/decompress.ts';
import {findBzip2Mark} from '../../../src/sys/bzip2-decoder.ts';

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

async function unpack(bytes: Buffer, chunkBytes = 70_001, parts: Buffer[] = []): Promise<Buffer> {
  const chunks = decompress(chunksOf(bytes, chunkBytes), 'bzip2', {replacements: decoderTools()});
  for await (const part of chunks) parts.push(part);
  return Buffer.concat(parts);
}

/** What the tool says, and what it writes before it does. */
function byTool(bytes: Buffer): {isGood: boolean; bytes: Buffer} {
  const {status, stdout} = spawnSync('bzip2', ['-dc'], {input: bytes, maxBuffer: 1 << 27});
  return {isGood: status === 0, bytes: stdout};
}

/** Numbers below a limit, the same in every run. */
function* numbersFrom(seed: number): Generator<number, never, number> {
  let limit = yield 0;
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    limit = yield Math.floor((state / 2 ** 32) * limit);
  }
}

function bitsOf(bytes: Buffer): string {
  return [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
}

function bytesOf(bits: string): Buffer {
  const whole = bits.padEnd(Math.ceil(bits.length / 8) * 8, '0');
  return Buffer.from(whole.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? []);
}

const blockMark = '314159265359';
const endMark = '177245385090';
const bitsOfHex = (hex: string) => bitsOf(Buffer.from(hex, 'hex'));

/** The checksum that a file of one block should have. */
function withChecksum(packed: string, checksum: number): Buffer {
  const bits = checksum.toString(2).padStart(32, '0');
  const end = packed.lastIndexOf(bitsOfHex(endMark)) + 48;
  const block = packed.slice(0, 80) + bits + packed.slice(112, end);
  return bytesOf(block + bits);
}

function checksumOf(bytes: Buffer): number {
  let rest = 0xffff_ffff;
  for (const byte of bytes) {
    rest ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) rest = (rest << 1) ^ (rest < 0 ? 0x04c1_1db7 : 0);
  }
  return ~rest >>> 0;
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

test('a mark in the middle of a block is seen through', async () => {
  const number = numbersFrom(5);
  number.next();
  const text = Buffer.from(Array.from({length: 20_000}, () => number.next(97).value));
  const packed = bitsOf(pack(text));
  const map = packed.slice(32 + 48 + 32 + 25);
  const used = [...map.slice(0, 16)].filter((bit) => bit === '1').length;
  const selectorsAt = 32 + 48 + 32 + 25 + 16 + 16 * used;
  expect(Number.parseInt(packed.slice(selectorsAt, selectorsAt + 3), 2)).toBeGreaterThan(2);
  const count = Number.parseInt(packed.slice(selectorsAt + 3, selectorsAt + 18), 2);
  // Selectors that no group needs: each is a row of ones and a zero.
  const more = `${bitsOfHex(blockMark)}0`;
  const marked = (times: number) => {
    const all = count + times * (more.split('0').length - 1);
    const head = packed.slice(0, selectorsAt + 3) + all.toString(2).padStart(15, '0');
    let end = selectorsAt + 18;
    for (let selector = 0; selector < count; end++) if (packed[end] === '0') selector++;
    const tail = packed.slice(end, packed.lastIndexOf(bitsOfHex(endMark)) + 48 + 32);
    return bytesOf(head + packed.slice(selectorsAt + 18, end) + more.repeat(times) + tail);
  };
  for (const times of [1, 8]) {
    expect(byTool(marked(times))).toEqual({isGood: true, bytes: text});
    const twice = Buffer.concat([marked(times), pack(text), marked(times)]);
    expect((await unpack(twice)).equals(Buffer.concat([text, text, text]))).toBe(true);
  }
  await expect(unpack(marked(9))).rejects.toThrow('damaged data');
});

test('blocks that very old versions randomised are read as the tool reads them', async () => {
  const number = numbersFrom(3);
  number.next();
  const text = Buffer.from(Array.from({length: 90_001}, () => number.next(200).value));
  const packed = bitsOf(pack(text));
  const marked = `${packed.slice(0, 112)}1${packed.slice(113)}`;
  // The tool keeps the last of it, whose checksum is not right yet.
  const bytes = Buffer.concat([byTool(bytesOf(marked)).bytes, text.subarray(90_000)]);
  const sound = withChecksum(marked, checksumOf(bytes));
  expect(byTool(sound)).toEqual({isGood: true, bytes});
  expect(bytes.equals(text)).toBe(false);
  expect((await unpack(sound)).equals(bytes)).toBe(true);
});

test('a block larger than its stream allows is refused as the tool refuses it', async () => {
  const packed = pack(contents.subarray(0, 100_500));
  packed.write('1', 3);
  expect(byTool(packed).isGood).toBe(false);
  await expect(unpack(packed)).rejects.toThrow('damaged data');
});

test('what was damaged gives the verdict and the bytes that the tool gives', async () => {
  const number = numbersFrom(11);
  number.next();
  const below = (limit: number) => number.next(limit).value;
  let good = 0;
  for (let file = 0; file < 12; file++) {
    const kinds = 1 + below(256);
    const bytes = Buffer.from(
      Array.from({length: 1 + below(30_000)}, (_, at) => (file % 3 ? below(kinds) : (at >> 7) % kinds)),
    );
    const packed = pack(bytes, `-${1 + below(9)}`);
    for (let times = 0; times < 16; times++) {
      const mutant = Buffer.from(packed);
      // Most of what can be told apart is told in the head of the block.
      const end = times % 2 ? Math.min(packed.length, 200) : packed.length;
      for (let flips = below(3); flips >= 0; flips--) {
        const at = 4 + below(end - 4);
        mutant[at] = (mutant[at] ?? 0) ^ (1 << below(8));
      }
      const parts: Buffer[] = [];
      const isGood = await unpack(mutant, 4096, parts).then(
        () => true,
        () => false,
      );
      const tool = byTool(mutant);
      expect(isGood).toBe(tool.isGood);
      if (isGood) expect(Buffer.concat(parts).equals(tool.bytes)).toBe(true);
      if (isGood) good++;
    }
  }
  expect(good).toBeLessThan(100);
});
