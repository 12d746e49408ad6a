/** xz by the library of the system behaves as the bundled decoder does, whose refusals it must keep. */
import {execFileSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {expect, test} from 'vitest';
import {decoderTools} from '../../../src/engine/embedded/decoder-tools.ts';
import {decompress} from '../../../src/formats/decompress.ts';
import {XzDecoder} from '../../../src/sys/xz-decoder.ts';

const contents = Buffer.concat([randomBytes(300_000), Buffer.alloc(3_000_000), randomBytes(1000)]);

function pack(bytes: Buffer, ...options: string[]): Buffer {
  return execFileSync('xz', ['-c', ...options], {input: bytes, maxBuffer: 1 << 26});
}

async function* chunksOf(bytes: Buffer) {
  for (let start = 0; start < bytes.length; start += 70_001) yield bytes.subarray(start, start + 70_001);
}

async function unpack(bytes: Buffer, limits = {}): Promise<Buffer> {
  const parts: Buffer[] = [];
  const options = {replacements: decoderTools(), limits};
  for await (const part of decompress(chunksOf(bytes), 'xz', options)) parts.push(part);
  return Buffer.concat(parts);
}

test('the tool of bzip2 is used where it is installed, and liblzma of the system', () => {
  expect(Object.keys(decoderTools()).sort()).toEqual(['bzip2', 'gzip', 'xz', 'zstd']);
  expect(XzDecoder.open(1 << 24)).toBeDefined();
});

test('one block, many blocks, several streams and padding give the same bytes', async () => {
  const second = pack(Buffer.from('second'), '--check=sha256');
  const packed = [
    pack(contents),
    pack(contents, '-T2', '--block-size=1MiB'),
    Buffer.concat([pack(contents.subarray(0, 5)), Buffer.alloc(8), pack(contents.subarray(5))]),
  ];
  for (const bytes of packed) {
    expect((await unpack(bytes)).equals(contents)).toBe(true);
    const both = Buffer.concat([contents, Buffer.from('second')]);
    expect((await unpack(Buffer.concat([bytes, second]))).equals(both)).toBe(true);
  }
});

test('cut, damaged or followed by other data it fails by name', async () => {
  const packed = pack(contents, '--block-size=1MiB');
  const damaged = Buffer.from(packed);
  damaged.writeUInt8(damaged.readUInt8(1000) ^ 1, 1000);
  const wrong = [
    ...[5, 13, 1000, packed.length - 30, packed.length - 1].map((end) => packed.subarray(0, end)),
    damaged,
    Buffer.concat([packed, Buffer.from('something else')]),
    Buffer.concat([packed, Buffer.alloc(3)]),
  ];
  for (const bytes of wrong) await expect(unpack(bytes)).rejects.toMatchObject({code: 'UncompressionError'});
});

test('a dictionary above the limit is refused before anything comes out', async () => {
  const wide = pack(contents, '--lzma2=dict=64MiB');
  await expect(unpack(wide, {maxMemoryBytes: 16 << 20})).rejects.toMatchObject({code: 'LimitExceeded'});
  expect((await unpack(wide)).equals(contents)).toBe(true);
});

test('who stops early stops the decoder and the source', async () => {
  let isClosed = false;
  async function* endless() {
    try {
      for (;;) yield* chunksOf(pack(contents));
    } finally {
      isClosed = true;
    }
  }
  for await (const part of decompress(endless(), 'xz', {replacements: decoderTools()}))
    if (part.length > 0) break;
  expect(isClosed).toBe(true);
});

test('a failure of the source comes out as it is', async () => {
  async function* failing() {
    yield pack(contents).subarray(0, 100_000);
    throw new Error('the source failed');
  }
  const chunks = decompress(failing(), 'xz', {replacements: decoderTools()});
  await expect(async () => {
    for await (const _ of chunks);
  }).rejects.toThrow('the source failed');
});
