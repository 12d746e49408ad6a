import {execFileSync, spawnSync} from 'node:child_process';
import {createHash, randomBytes} from 'node:crypto';
import {describe, expect, test} from 'vitest';
import {decompress} from '../../../src/formats/decompress.ts';
import {type Compression, sniffCompression} from '../../../src/formats/sniff.ts';

type Tool = {compression: Compression; command: string; arguments: string[]};
const tools: Tool[] = [
  {compression: 'gzip', command: 'gzip', arguments: ['-c']},
  {compression: 'xz', command: 'xz', arguments: ['-c']},
  {compression: 'zstd', command: 'zstd', arguments: ['-cq']},
  {compression: 'bzip2', command: 'bzip2', arguments: ['-c']},
];
const present = tools.filter(
  ({command}) => spawnSync(command, ['--version'], {input: ''}).error === undefined,
);

/** Text, noise and a long hole: blocks of every kind. */
const sample = Buffer.concat([
  Buffer.from('imgctl '.repeat(40_000)),
  randomBytes(300_000),
  Buffer.alloc(1_500_000),
  randomBytes(1000),
]);

function pack({command, arguments: list}: Tool, input: Buffer, ...extra: string[]): Buffer {
  return execFileSync(command, [...list, ...extra], {input, maxBuffer: 1 << 30});
}

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

async function unpack(
  bytes: Buffer,
  compression: Compression,
  options = {},
  chunkSize = 64 * 1024,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of decompress(inChunks(bytes, chunkSize), compression, options)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

describe.each(present)('$compression made by its tool', (tool) => {
  const {compression} = tool;
  const packed = pack(tool, sample);

  test('is recognised and decompresses to the same bytes, whatever the chunks', async () => {
    expect(sniffCompression(packed)).toBe(compression);
    for (const size of [1 << 20, 65_536, 1021]) {
      expect(sha(await unpack(packed, compression, {}, size))).toBe(sha(sample));
    }
    expect(sha(await unpack(packed.subarray(0), compression, {}, packed.length))).toBe(sha(sample));
  });

  test('several files one after the other decompress to all of them', async () => {
    const twice = Buffer.concat([packed, pack(tool, Buffer.from('second')), packed]);
    const expected = sha(Buffer.concat([sample, Buffer.from('second'), sample]));
    expect(sha(await unpack(twice, compression))).toBe(expected);
    expect(sha(await unpack(twice, compression, {}, packed.length))).toBe(expected);
  });

  test('an empty file decompresses to nothing', async () => {
    expect(await unpack(pack(tool, Buffer.alloc(0)), compression)).toHaveLength(0);
  });

  test('truncated anywhere it fails by name', async () => {
    const small = pack(tool, sample.subarray(270_000, 400_000));
    const cuts = [1, 2, 3, 4, 5, 8, 9, 12, 13, 18, 20, 100, 1000, 50_000];
    const ends = [...cuts, ...cuts.map((cut) => small.length - cut)].filter(
      (end) => end > 0 && end < small.length,
    );
    for (const end of ends) {
      const result = unpack(small.subarray(0, end), compression);
      await expect(result, `cut at ${end} of ${small.length}`).rejects.toMatchObject({
        code: 'UncompressionError',
      });
    }
  });

  test('other data after the end fails, in the same chunk and in a later one', async () => {
    const small = pack(tool, Buffer.from('small'));
    for (const garbage of ['x', 'garbage', 'PK\x03\x04 and more garbage']) {
      const bytes = Buffer.concat([small, Buffer.from(garbage)]);
      for (const size of [bytes.length, small.length, 1]) {
        const result = unpack(bytes, compression, {}, size);
        await expect(result, `${garbage} in ${size}`).rejects.toMatchObject({code: 'UncompressionError'});
      }
    }
  });

  test('a flipped bit fails', async () => {
    const damaged = Buffer.from(packed);
    damaged[200_000] = (damaged[200_000] ?? 0) ^ 4;
    await expect(unpack(damaged, compression)).rejects.toMatchObject({code: 'UncompressionError'});
  });

  test('more output than allowed ends with LimitExceeded', async () => {
    const limits = {maxOutputBytes: 1_000_000};
    await expect(unpack(packed, compression, {limits})).rejects.toMatchObject({code: 'LimitExceeded'});
  });

  test('a failing source is reported as itself', async () => {
    async function* failing(): AsyncGenerator<Buffer> {
      yield packed.subarray(0, 1000);
      throw new RangeError('the disk is on fire');
    }
    const drain = async () => {
      for await (const _ of decompress(failing(), compression));
    };
    await expect(drain()).rejects.toThrow(new RangeError('the disk is on fire'));
  });
});

describe('gzip', () => {
  test('zero padding is fine, data after the padding is not', async () => {
    const small = pack(tools[0]!, Buffer.from('small'));
    const padded = Buffer.concat([small, Buffer.alloc(100_000)]);
    expect(String(await unpack(padded, 'gzip'))).toBe('small');
    for (const size of [1 << 20, 4096]) {
      const result = unpack(Buffer.concat([padded, Buffer.from('tail')]), 'gzip', {}, size);
      await expect(result).rejects.toMatchObject({code: 'UncompressionError'});
    }
  });
});

describe.runIf(present.some(({command}) => command === 'zstd'))('zstd', () => {
  const zstd = tools[2]!;

  test('frames with and without checksum and size, and skippable frames', async () => {
    const skippable = Buffer.from('52 2a 4d 18 05 00 00 00 68 65 6c 6c 6f'.replaceAll(' ', ''), 'hex');
    const frames = [['--no-check'], ['--check'], ['-19'], ['--fast'], ['-1', '--single-thread']].map(
      (extra) => pack(zstd, sample.subarray(200_000, 900_000), ...extra),
    );
    const bytes = Buffer.concat([skippable, ...frames.flatMap((frame) => [frame, skippable])]);
    expect((await unpack(bytes, 'zstd')).length).toBe(700_000 * frames.length);
  });

  test('a window above the limit is refused by name before anything is decoded', async () => {
    const wide = pack(zstd, sample, '--long=27', '--no-content-size');
    const result = unpack(wide, 'zstd', {limits: {maxWindowBytes: 1 << 20}});
    await expect(result).rejects.toMatchObject({
      code: 'LimitExceeded',
      message: expect.stringContaining('window'),
    });
    expect(sha(await unpack(wide, 'zstd'))).toBe(sha(sample));
  });
});

describe('xz', () => {
  const xz = tools[1]!;

  test('padding between and after streams', async () => {
    const [a, b] = [pack(xz, Buffer.from('a')), pack(xz, Buffer.from('b'), '--check=sha256')];
    expect(String(await unpack(Buffer.concat([a, Buffer.alloc(8), b, Buffer.alloc(4)]), 'xz'))).toBe('ab');
    const odd = Buffer.concat([a, Buffer.alloc(7), b]);
    await expect(unpack(odd, 'xz')).rejects.toMatchObject({code: 'UncompressionError'});
  });

  test('a dictionary above the memory limit is refused by name', async () => {
    const wide = pack(xz, sample, '--lzma2=dict=64MiB');
    const result = unpack(wide, 'xz', {limits: {maxMemoryBytes: 16 << 20}});
    await expect(result).rejects.toMatchObject({code: 'LimitExceeded'});
    expect(sha(await unpack(wide, 'xz'))).toBe(sha(sample));
  });
});

test('lz4 is refused by name, and no compression passes through', async () => {
  await expect(unpack(Buffer.from('04224d1800', 'hex'), 'lz4')).rejects.toMatchObject({code: 'NotSupported'});
  expect(String(await unpack(Buffer.from('as it is'), 'none'))).toBe('as it is');
});
