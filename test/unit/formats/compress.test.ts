import {execFileSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {expect, test} from 'vitest';
import {compress} from '../../../src/formats/compress.ts';

async function* chunksOf(bytes: Buffer, size: number) {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

const contents = Buffer.concat([randomBytes(300_000), Buffer.alloc(3_000_000), Buffer.from('end')]);

test.each([
  ['gzip', 'gzip'],
  ['xz', 'xz'],
  ['zstd', 'zstd'],
] as const)('%s data is read by its tool', async (compression, tool) => {
  for (const bytes of [contents, Buffer.alloc(0)]) {
    const parts: Buffer[] = [];
    for await (const chunk of compress(chunksOf(bytes, 70_000), compression)) parts.push(chunk);
    const output = execFileSync(tool, ['-dc'], {input: Buffer.concat(parts), maxBuffer: 16 << 20});
    expect(output.equals(bytes)).toBe(true);
  }
});

test('bzip2 without its tool is refused by name', async () => {
  const output = compress(chunksOf(contents, 70_000), 'bzip2');
  await expect(output.next()).rejects.toMatchObject({
    code: 'NotSupported',
    message: expect.stringContaining('"bzip2"'),
  });
});

test('a failure of the source comes out as it is', async () => {
  async function* failing(): AsyncGenerator<Buffer> {
    yield contents;
    throw new Error('the source failed');
  }
  for (const compression of ['gzip', 'xz', 'zstd', 'uncompressed'] as const) {
    const read = async () => {
      for await (const chunk of compress(failing(), compression)) expect(chunk.length).toBeGreaterThan(0);
    };
    await expect(read()).rejects.toThrow('the source failed');
  }
});
