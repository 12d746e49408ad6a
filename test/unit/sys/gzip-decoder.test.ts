/** The decoder of gzip gives what zlib gives, however its input and its room are cut, and refuses what zlib refuses. */
import {createHash, randomBytes} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {constants, crc32, gunzipSync, gzipSync, type ZlibOptions} from 'node:zlib';
import {expect, test} from 'vitest';
import {native} from '../../../src/sys/native.ts';

const windowBytes = 32 * 1024;
const wholeStep = 256 * 1024;

interface Decoded {
  state: 'end' | 'more' | 'damaged';
  bytes: Buffer;
  taken: number;
}

/** One member, given in pieces of so many bytes, taken in steps of up to so many. */
async function decode(packed: Buffer, pieceOf: () => number, most: number): Promise<Decoded> {
  const decoder = native().gzipDecoder();
  const ring = Buffer.alloc(windowBytes + 3 * most);
  const report = Buffer.alloc(12);
  const parts: Buffer[] = [];
  let taken = 0;
  let end = 0;
  for (;;) {
    if (taken === end) end = Math.min(packed.length, end + pieceOf());
    const result = await native().gzipDecode(decoder, packed.subarray(taken, end), ring, report, most);
    const [used, start, made] = [0, 4, 8].map((at) => report.readUInt32LE(at)) as [number, number, number];
    parts.push(Buffer.from(ring.subarray(start, start + made)));
    taken += used;
    const isStuck = made === 0 && used === 0 && taken === packed.length;
    if (result > 0 && !isStuck) continue;
    const state = result < 0 ? 'damaged' : result === 0 ? 'end' : 'more';
    return {state, bytes: Buffer.concat(parts), taken};
  }
}

/** Numbers that are the same in every run. */
function numbers(seed: string): (below: number) => number {
  let pool = Buffer.alloc(0);
  let count = 0;
  return (below) => {
    if (pool.length < 4) pool = createHash('sha512').update(`${seed} ${count++}`).digest();
    const value = pool.readUInt32LE(0) % below;
    pool = pool.subarray(4);
    return value;
  };
}

const program = readFileSync(process.execPath).subarray(1_000_000, 1_400_000);
const text = readFileSync(new URL('../../../CHANGELOG.md', import.meta.url));
const contents: Record<string, Buffer> = {
  nothing: Buffer.alloc(0),
  'one byte': Buffer.from('x'),
  text,
  program,
  'random bytes': randomBytes(300_000),
  zeros: Buffer.alloc(1_500_000),
  'short repetitions': Buffer.concat(
    Array.from({length: 40}, (_, index) =>
      Buffer.from('abcdefghijklmnopqrstuvwxyz'.slice(0, index % 26).repeat(99)),
    ),
  ),
  'far repetitions': Buffer.concat(Array.from({length: 9}, () => program.subarray(0, windowBytes - 7))),
};
const strategies = [
  constants.Z_DEFAULT_STRATEGY,
  constants.Z_FILTERED,
  constants.Z_HUFFMAN_ONLY,
  constants.Z_RLE,
  constants.Z_FIXED,
];
const options: ZlibOptions[] = [
  ...Array.from({length: 10}, (_, level) => ({level})),
  ...strategies.map((strategy) => ({strategy})),
  ...[9, 12, 15].map((windowBits) => ({windowBits, memLevel: 1})),
];

test.each(Object.entries(contents))('%s come out as they were, in every form', async (name, bytes) => {
  const next = numbers(name);
  for (const option of options) {
    const packed = gzipSync(bytes, option);
    const followed = Buffer.concat([packed, randomBytes(50)]);
    const cuts = [() => packed.length, () => 1 + next(1021), () => followed.length];
    for (const pieceOf of cuts) {
      const decoded = await decode(followed, pieceOf, wholeStep);
      expect([decoded.state, decoded.taken]).toEqual(['end', packed.length]);
      expect(decoded.bytes.equals(bytes)).toBe(true);
    }
  }
});

test.each([1, 7, 300, 4099])('with input and room cut into %d bytes it is the same', async (cut) => {
  const length = Math.min(cut * 300, 5000);
  const bytes = Buffer.concat([text.subarray(0, length), program.subarray(0, length), Buffer.alloc(length)]);
  for (const option of [{level: 0}, {level: 1}, {level: 9}, {strategy: constants.Z_FIXED}]) {
    const packed = gzipSync(bytes, option);
    for (const pieceOf of [() => 1, () => 7, () => packed.length]) {
      const decoded = await decode(packed, pieceOf, cut);
      expect([decoded.state, decoded.taken]).toEqual(['end', packed.length]);
      expect(decoded.bytes.equals(bytes)).toBe(true);
    }
  }
});

/** What zlib makes of it. */
function byZlib(packed: Buffer): Decoded {
  try {
    return {state: 'end', bytes: gunzipSync(packed), taken: packed.length};
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'Z_BUF_ERROR')
      return {state: 'damaged', bytes: Buffer.alloc(0), taken: 0};
    const bytes = gunzipSync(packed, {finishFlush: constants.Z_SYNC_FLUSH});
    return {state: 'more', bytes, taken: packed.length};
  }
}

async function expectSame(
  packed: Buffer,
  pieceOf: () => number,
  most = wholeStep,
): Promise<Decoded['state']> {
  const expected = byZlib(packed);
  const decoded = await decode(packed, pieceOf, most);
  expect(decoded.state, packed.toString('base64')).toBe(expected.state);
  if (expected.state !== 'damaged')
    expect(decoded.bytes.equals(expected.bytes), packed.toString('base64')).toBe(true);
  return expected.state;
}

test('thousands of damaged and cut members are refused, or give bytes, as by zlib', async () => {
  const next = numbers('damage');
  const seen = {end: 0, more: 0, damaged: 0};
  for (let round = 0; round < 120; round++) {
    const from = round % 3 === 0 ? program : round % 3 === 1 ? text : contents['short repetitions'];
    const start = next((from?.length ?? 0) - 3000);
    const bytes =
      from?.subarray(start, start + 1 + next(round % 10 === 0 ? 60_000 : 3000)) ?? Buffer.alloc(0);
    const whole = gzipSync(bytes, options[next(options.length)]);
    for (let change = 0; change < 30; change++) {
      const packed = Buffer.from(whole.subarray(0, next(4) === 0 ? next(whole.length + 1) : undefined));
      for (let flips = next(3); flips > 0 && packed.length > 0; flips--) {
        const at = next(next(2) === 0 ? Math.min(packed.length, 100) : packed.length);
        packed.writeUInt8(packed.readUInt8(at) ^ (1 << next(8)), at);
      }
      const piece = [1 + next(20), 1 + next(500), 1 << 20][next(3)] ?? 1;
      if (packed.length > 0) seen[await expectSame(packed, () => piece)]++;
    }
  }
  expect(Math.min(seen.end, seen.more, seen.damaged)).toBeGreaterThan(100);
});

/** Bits, the lowest of each number first, behind the header of a member without a name. */
function member(...fields: [value: number, bits: number][]): Buffer {
  const bits = fields.flatMap(([value, count]) =>
    Array.from({length: count}, (_, bit) => (value >> bit) & 1),
  );
  const body = Buffer.alloc(Math.ceil(bits.length / 8));
  for (const [index, bit] of bits.entries())
    body[index >> 3] = (body[index >> 3] ?? 0) | (bit << (index & 7));
  return Buffer.concat([Buffer.from('1f8b0800000000000003', 'hex'), body, Buffer.alloc(20)]);
}

/** A dynamic block whose precode has lengths for 18, 0 and 1 only: 1 and 2 bits. */
const dynamic = (literals: number, distances: number): [number, number][] => [
  [1, 1],
  [2, 2],
  [literals - 257, 5],
  [distances - 1, 5],
  [14, 4],
  ...[0, 0, 1, 2, ...Array(13).fill(0), 2].map((bits): [number, number] => [bits, 3]),
];
/** By that precode: so many lengths of 0, of 11 to 138; the length 0; the length 1. */
const zeros = (count: number): [number, number][] => [
  [0, 1],
  [count - 11, 7],
];
const zero: [number, number] = [1, 2];
const one: [number, number] = [3, 2];
const literalsWithOnlyEnd = [...zeros(138), ...zeros(118), one];

test.each<[string, Buffer]>([
  ['a block of the fourth kind', member([1, 1], [3, 2])],
  ['a stored length that its complement does not match', member([1, 1], [0, 2], [0, 5], [5, 16], [5, 16])],
  ['more than 286 symbols', member(...dynamic(287, 1))],
  ['more than 30 distances', member(...dynamic(257, 31))],
  ['a precode of nothing', member([1, 1], [2, 2], [0, 14], ...Array(4).fill([0, 3]), [0, 16])],
  ['a precode of one code', member([1, 1], [2, 2], [0, 14], [1, 3], [0, 3], [0, 3], [0, 3])],
  ['a precode of too many', member([1, 1], [2, 2], [0, 14], [1, 3], [1, 3], [1, 3], [0, 3])],
  ['a repetition of nothing', member([1, 1], [2, 2], [0, 14], [1, 3], [1, 3], [0, 3], [0, 3], [0, 9])],
  ['a repetition beyond the last symbol', member(...dynamic(257, 1), ...zeros(138), ...zeros(138))],
  ['no end of a block', member(...dynamic(257, 1), ...zeros(138), ...zeros(118), zero, one)],
  ['only the end of a block', member(...dynamic(257, 1), ...literalsWithOnlyEnd, zero, [0, 1])],
  ['the other code where only the end is', member(...dynamic(257, 1), ...literalsWithOnlyEnd, zero, [1, 1])],
  ['one distance', member(...dynamic(257, 1), ...literalsWithOnlyEnd, one, [0, 1])],
  ['too many distances', member(...dynamic(257, 3), ...literalsWithOnlyEnd, one, one, one, [0, 1])],
  ['a distance before the beginning', member([1, 1], [1, 2], [0x0c, 8], [0x40, 7], [4, 5])],
  ['a length that there is not', member([1, 1], [1, 2], [0x63, 8])],
  ['a distance that there is not', member([1, 1], [1, 2], [0x0c, 8], [0x40, 7], [0x0f, 5])],
])('%s is taken as by zlib', async (_, packed) => {
  for (const piece of [1, 1000]) await expectSame(packed, () => piece);
  for (let end = 1; end < packed.length; end++) await expectSame(packed.subarray(0, end), () => 1000);
});

/** A member with that header, whose checksum is right or not. */
function withHeader(flags: number, fields: string, checksum?: 'right' | 'wrong'): Buffer {
  const header = Buffer.concat([
    Buffer.from([31, 139, 8, flags, 1, 2, 3, 4, 0, 3]),
    Buffer.from(fields, 'latin1'),
  ]);
  const sum = Buffer.alloc(2);
  sum.writeUInt16LE((crc32(header) & 0xffff) ^ (checksum === 'wrong' ? 1 : 0));
  return Buffer.concat([
    header,
    checksum ? sum : Buffer.alloc(0),
    gzipSync(text.subarray(0, 500)).subarray(10),
  ]);
}

test.each<[string, Buffer]>([
  ['a text flag', withHeader(1, '')],
  ['extra fields', withHeader(4, '\x03\x00abc')],
  ['no bytes of extra fields', withHeader(4, '\x00\x00')],
  ['many extra fields', withHeader(4, `\xff\xff${'z'.repeat(65_535)}`)],
  ['a name and a comment', withHeader(24, 'name\0comment\0')],
  ['all of them with a checksum', withHeader(31, '\x03\x00abcname\0\0', 'right')],
  ['a checksum alone', withHeader(2, '', 'right')],
  ['a wrong checksum', withHeader(2, '', 'wrong')],
  ['a wrong checksum of all', withHeader(30, '\x03\x00abcname\0\0', 'wrong')],
  ...[0x20, 0x40, 0x80].map((flag): [string, Buffer] => [`the reserved flag ${flag}`, withHeader(flag, '')]),
])('a header with %s is taken as by zlib', async (_, packed) => {
  for (const piece of [1, 7, 70_000])
    if (piece > 1 || packed.length < 1000) await expectSame(packed, () => piece);
  for (let end = 1; end < Math.min(packed.length, 60); end++)
    await expectSame(packed.subarray(0, end), () => 1000);
});
