import {zstdCompressSync} from 'node:zlib';
import fc from 'fast-check';
import {expect, test} from 'vitest';
import {ImgctlError} from '../../src/errors.ts';
import {decompress} from '../../src/formats/decompress.ts';

const maxOutputBytes = 4 << 20;

/** The decoded bytes, or the code of the refusal. Anything but an ImgctlError is a fault. */
async function decode(bytes: Buffer, chunkSize: number): Promise<Buffer | string> {
  async function* source(): AsyncGenerator<Buffer> {
    for (let start = 0; start < bytes.length; start += chunkSize)
      yield bytes.subarray(start, start + chunkSize);
  }
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of decompress(source(), 'zstd', {
      limits: {maxOutputBytes, maxWindowBytes: 8 << 20},
    })) {
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof ImgctlError) return error.code;
    throw error;
  }
  return Buffer.concat(chunks);
}

const skippable = fc.uint8Array({maxLength: 40}).map((bytes) => {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(0x184d2a50 + (bytes.length & 15), 0);
  header.writeUInt32LE(bytes.length, 4);
  return {frame: Buffer.concat([header, bytes]), content: Buffer.alloc(0)};
});
const content = fc.tuple(fc.uint8Array({maxLength: 300}), fc.integer({min: 1, max: 900}));
const data = content.map(([bytes, times]) => {
  const whole = Buffer.concat(Array.from({length: times}, () => bytes));
  return {frame: zstdCompressSync(whole), content: whole};
});
const frames = fc.array(fc.oneof(data, skippable), {minLength: 1, maxLength: 8});

test('any sequence of frames decodes to their contents, whatever the chunks', async () => {
  await fc.assert(
    fc.asyncProperty(frames, fc.integer({min: 1, max: 5000}), async (list, chunkSize) => {
      const bytes = Buffer.concat(list.map(({frame}) => frame));
      const expected = Buffer.concat(list.map(({content}) => content));
      expect(expected.equals((await decode(bytes, chunkSize)) as Buffer)).toBe(true);
    }),
    {numRuns: 150},
  );
});

test('damage is refused by name or changes nothing that a checksum covers', async () => {
  const edits = fc.array(fc.tuple(fc.nat(), fc.integer({min: 0, max: 255})), {minLength: 1, maxLength: 4});
  await fc.assert(
    fc.asyncProperty(frames, edits, fc.integer({min: 1, max: 5000}), async (list, changes, chunkSize) => {
      const bytes = Buffer.concat(list.map(({frame}) => frame));
      for (const [position, value] of changes) bytes[position % bytes.length] = value;
      const result = await decode(bytes, chunkSize);
      if (typeof result === 'string') expect(['UncompressionError', 'LimitExceeded']).toContain(result);
      else expect(result.length).toBeLessThanOrEqual(maxOutputBytes);
    }),
    {numRuns: 400},
  );
});
