/** Compression on several cores: tools read it, and the bytes do not tell how many cores there were. */
import {execFileSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {expect, test} from 'vitest';
import {compress} from '../../../src/formats/compress.ts';
import {decompress, defaultDecompressLimits} from '../../../src/formats/decompress.ts';
import type {Encoder} from '../../../src/formats/encoder.ts';

async function* chunksOf(bytes: Buffer, size = 70_001) {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

const bzip2: Encoder = async function* (source) {
  const parts: Buffer[] = [];
  for await (const part of source) parts.push(part);
  yield execFileSync('bzip2', ['-9c'], {input: Buffer.concat(parts), maxBuffer: 64 << 20});
};

/** More than one block of each kind. */
const contents = Buffer.concat([randomBytes(400_000), Buffer.alloc(9_000_000), Buffer.from('end')]);

async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

test.each(['gzip', 'xz', 'zstd', 'bzip2'] as const)(
  '%s data is read by its tool and by us',
  async (compression) => {
    for (const bytes of [contents, Buffer.alloc(0)]) {
      const packed = await collect(compress(chunksOf(bytes), compression, bzip2, 3));
      const output = execFileSync(compression, ['-dc'], {input: packed, maxBuffer: 64 << 20});
      expect(output.equals(bytes)).toBe(true);
      const unpacked = decompress(chunksOf(packed), compression, {limits: defaultDecompressLimits});
      expect((await collect(unpacked)).equals(bytes)).toBe(true);
    }
  },
);

test.each(['gzip', 'xz', 'zstd', 'bzip2'] as const)(
  '%s data is the same from one core and from four',
  async (kind) => {
    const [one, four] = [1, 4].map((cores) =>
      collect(compress(chunksOf(contents, cores * 9001), kind, bzip2, cores)),
    );
    expect((await one)?.equals((await four) ?? Buffer.alloc(0))).toBe(true);
  },
);

test('a failure of the source comes out as it is', async () => {
  async function* failing(): AsyncGenerator<Buffer> {
    yield contents;
    throw new Error('the source failed');
  }
  for (const compression of ['gzip', 'xz', 'zstd', 'bzip2'] as const)
    await expect(collect(compress(failing(), compression, bzip2, 2))).rejects.toThrow('the source failed');
});
