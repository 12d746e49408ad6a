/** zstd on several cores: its tool reads it, and neither cores nor holes can be seen in the bytes. */
import {execFileSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, expect, test} from 'vitest';
import {zstdFileFrames, zstdFrameEncoder} from '../../../src/engine/embedded/export/zstd-frames.ts';

const mebibyte = 1 << 20;
const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-zstd-frames-'));
afterAll(() => rmSync(directory, {recursive: true}));

/** Data before and behind a hole of many frames, and an end that fills none. */
const parts = [
  {offset: 0, bytes: randomBytes(5 * mebibyte)},
  {offset: 50 * mebibyte - 3, bytes: Buffer.from('text that repeats, '.repeat(300_000))},
];
const size = 60 * mebibyte + 7;
const contents = Buffer.alloc(size);
for (const {offset, bytes} of parts) bytes.copy(contents, offset);

/** What is yielded is good until the next is asked for. */
async function collect(chunks: AsyncIterable<Buffer> | undefined): Promise<Buffer> {
  const copies: Buffer[] = [];
  if (chunks) for await (const chunk of chunks) copies.push(Buffer.from(chunk));
  return Buffer.concat(copies);
}

async function* chunksOf(bytes: Buffer, length: number) {
  for (let start = 0; start < bytes.length; start += length) yield bytes.subarray(start, start + length);
}

async function framesOfFile(write: (fd: number) => void, bytes: number, cores: number): Promise<Buffer> {
  const fd = openSync(path.join(directory, 'disk'), 'w+');
  try {
    write(fd);
    return await collect(zstdFileFrames(fd, bytes, cores, () => undefined));
  } finally {
    closeSync(fd);
  }
}

function unpack(bytes: Buffer): Buffer {
  return execFileSync('zstd', ['-dcq'], {input: bytes, maxBuffer: 1 << 28});
}

test('a file with holes, one without and a stream give the same frames, from any number of cores', async () => {
  const sparse = await framesOfFile(
    (fd) => {
      for (const {offset, bytes} of parts) writeSync(fd, bytes, 0, bytes.length, offset);
      ftruncateSync(fd, size);
    },
    size,
    1,
  );
  expect(unpack(sparse).equals(contents)).toBe(true);
  const full = await framesOfFile((fd) => writeSync(fd, contents), size, 4);
  expect(full.equals(sparse)).toBe(true);
  for (const [cores, length] of [
    [1, 70_001],
    [3, 9 * mebibyte],
    [20, 4 * mebibyte],
  ] as const) {
    const streamed = await collect(zstdFrameEncoder(cores)?.(chunksOf(contents, length)));
    expect(streamed.equals(sparse), `${cores} cores`).toBe(true);
  }
});

test('nothing at all is one empty frame', async () => {
  const packed = [
    await collect(zstdFrameEncoder(2)?.(chunksOf(Buffer.alloc(0), 1))),
    await framesOfFile(() => undefined, 0, 2),
  ];
  for (const bytes of packed) {
    expect(bytes.length).toBeGreaterThan(0);
    expect(unpack(bytes)).toHaveLength(0);
  }
});

test('a file that becomes shorter and a source that fails are named', async () => {
  const cut = framesOfFile((fd) => writeSync(fd, contents, 0, 5 * mebibyte), 5 * mebibyte + 1, 2);
  await expect(cut).rejects.toMatchObject({code: 'FileSystem', message: expect.stringContaining('shorter')});
  async function* failing(): AsyncGenerator<Buffer> {
    yield contents;
    throw new Error('the source failed');
  }
  await expect(collect(zstdFrameEncoder(2)?.(failing()))).rejects.toThrow('the source failed');
});
