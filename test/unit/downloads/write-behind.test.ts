import {randomBytes} from 'node:crypto';
import {mkdtempSync, readFileSync, rmSync, statSync} from 'node:fs';
import {open} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, expect, test} from 'vitest';
import {WriteBehind} from '../../../src/downloads/write-behind.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-write-behind-'));
afterAll(() => rmSync(directory, {recursive: true}));

async function write(file: string, chunks: readonly Buffer[], start = 0): Promise<void> {
  const handle = await open(file, 'a+').then((made) => made.close().then(() => open(file, 'r+')));
  try {
    const reached: number[] = [];
    const behind = new WriteBehind(handle, (end) => reached.push(end));
    let offset = start;
    for (const chunk of chunks) {
      await behind.add(chunk, offset);
      offset += chunk.length;
    }
    await behind.flush();
    expect(reached.at(-1)).toBe(offset);
  } finally {
    await handle.close();
  }
}

test('what was added is in the file after a flush, whatever the sizes, and goes on at an offset', async () => {
  const file = path.join(directory, 'sizes');
  const chunks = [1, 70_000, 0, 3_000_000, 5, 1 << 20].map((size) => randomBytes(size));
  await write(file, chunks);
  const first = Buffer.concat(chunks);
  expect(readFileSync(file).equals(first)).toBe(true);
  const more = randomBytes(100);
  await write(file, [more], first.length);
  expect(readFileSync(file).equals(Buffer.concat([first, more]))).toBe(true);
});

test('zeros become a hole, at the end too', async () => {
  const file = path.join(directory, 'zeros');
  const chunks = [randomBytes(1 << 20), ...Array.from({length: 64}, () => Buffer.alloc(1 << 18))];
  await write(file, chunks);
  expect(readFileSync(file).equals(Buffer.concat(chunks))).toBe(true);
  expect(statSync(file).blocks * 512).toBeLessThan(4 << 20);
});

test('a failure to write is told by what follows it', async () => {
  const handle = await open('/dev/full', 'w');
  const behind = new WriteBehind(handle, () => undefined);
  await behind.add(randomBytes(2 << 20), 0);
  await expect(behind.flush()).rejects.toMatchObject({code: 'ENOSPC'});
  await handle.close();
});
