/** What decoders of this program make of packed bytes, and bytes to pack for them. */
import {randomBytes} from 'node:crypto';
import {expect} from 'vitest';
import {decoderTools} from '../../src/engine/embedded/decoder-tools.ts';
import {OutputBuffers} from '../../src/engine/embedded/output-buffers.ts';
import {type DecompressLimits, decompress} from '../../src/formats/decompress.ts';

type Packed = 'gzip' | 'zstd';

/** Random, empty and repetitive. */
export const mixedContents = Buffer.concat([
  randomBytes(300_000),
  Buffer.alloc(3_000_000),
  Buffer.from('text that repeats, '.repeat(50_000)),
]);

export async function* chunksOf(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

export async function unpackNatively(
  compression: Packed,
  bytes: Buffer,
  limits: Partial<DecompressLimits> = {},
  chunkBytes = 70_001,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  const options = {replacements: decoderTools(), limits};
  for await (const part of decompress(chunksOf(bytes, chunkBytes), compression, options)) parts.push(part);
  return Buffer.concat(parts);
}

/** With few buffers, which are used again, each part must stay as it is for seven more. */
export async function expectPartsToStay(
  compression: Packed,
  packed: Buffer,
  expected: Buffer,
): Promise<void> {
  const buffers = new OutputBuffers();
  buffers.reuse();
  const kept: {bytes: Buffer; position: number}[] = [];
  let position = 0;
  const isAsItWas = (part: {bytes: Buffer; position: number} | undefined) =>
    !part || part.bytes.equals(expected.subarray(part.position, part.position + part.bytes.length));
  const options = {replacements: decoderTools(buffers)};
  for await (const bytes of decompress(chunksOf(packed, 100_003), compression, options)) {
    kept.push({bytes, position});
    position += bytes.length;
    if (kept.length === 8 && !isAsItWas(kept.shift()))
      throw new Error(`bytes before ${position} have changed`);
  }
  expect(position).toBe(expected.length);
  expect(kept.every(isAsItWas)).toBe(true);
}

/** One bit is another. */
export function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
}
