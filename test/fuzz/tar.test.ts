import {execFileSync} from 'node:child_process';
import path from 'node:path';
import fc from 'fast-check';
import {expect, test} from 'vitest';
import {ImgctlError} from '../../src/errors.ts';
import {readTar} from '../../src/formats/tar-reader.ts';

const formats = path.join(import.meta.dirname, '../../src/formats');
const seeds = [['gnu', '--sparse'], ['posix', '--sparse'], ['ustar']].map(([format, ...options]) =>
  execFileSync('tar', [`--format=${format}`, ...options, '-C', formats, '-c', 'sparse.ts', 'gzip.ts']),
);

/** Reads everything; returns the bytes of all bodies. Anything but an ImgctlError is a fault. */
async function consume(bytes: Buffer): Promise<number> {
  async function* source(): AsyncGenerator<Buffer> {
    yield bytes;
  }
  let total = 0;
  try {
    for await (const entry of readTar(source()))
      for await (const run of entry.body()) total += run.bytes.length;
  } catch (error) {
    if (!(error instanceof ImgctlError)) throw error;
    expect(['InvalidArchive', 'LimitExceeded']).toContain(error.code);
  }
  return total;
}

/** Makes the checksum right again, so that damage reaches the code behind it. */
function withChecksums(bytes: Buffer): Buffer {
  for (let start = 0; start + 512 <= bytes.length; start += 512) {
    const block = bytes.subarray(start, start + 512);
    if (block.toString('latin1', 257, 262) !== 'ustar') continue;
    block.fill(0x20, 148, 156);
    block.write(
      `${block
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
      'latin1',
    );
  }
  return bytes;
}

test('damaged archives end in an ImgctlError or in entries, never in more bytes than came', async () => {
  const edits = fc.array(fc.tuple(fc.nat(), fc.integer({min: 0, max: 255})), {minLength: 1, maxLength: 12});
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...seeds),
      edits,
      fc.boolean(),
      fc.nat(),
      async (seed, changes, repair, cut) => {
        const bytes = Buffer.from(seed.subarray(0, cut % 3 === 0 ? cut % seed.length : seed.length));
        for (const [position, value] of changes) {
          if (bytes.length > 0) bytes[position % Math.min(bytes.length, 4096)] = value;
        }
        expect(await consume(repair ? withChecksums(bytes) : bytes)).toBeLessThanOrEqual(bytes.length);
      },
    ),
    {numRuns: 2000},
  );
});

test('noise is refused', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({maxLength: 3000}), async (noise) => {
      expect(await consume(Buffer.from(noise))).toBe(0);
    }),
    {numRuns: 300},
  );
});
