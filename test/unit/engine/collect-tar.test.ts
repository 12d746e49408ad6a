import {execFileSync} from 'node:child_process';
import {linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {entryPath} from '../../../src/engine/embedded/entry-path.ts';
import type {TarEntry} from '../../../src/formats/tar-entry.ts';
import {readTar} from '../../../src/formats/tar-reader.ts';
import {EntryBatch, entryKind} from '../../../src/sys/entry-batch.ts';

const formats = ['gnu', 'oldgnu', 'ustar', 'pax', 'v7'];
const chunkBytes = [512, 1536, 10_000, 262_144];
const kinds: Record<number, string> = {
  [entryKind.directory]: 'directory',
  [entryKind.whole]: 'file',
  [entryKind.symlink]: 'symlink',
};

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-collect-tar-'));
  const tree = path.join(directory, 'tree');
  const deep = path.join(tree, 'd'.repeat(60), 'e'.repeat(60));
  mkdirSync(deep, {recursive: true});
  for (const [index, bytes] of [0, 1, 511, 512, 513, 9000, 30_000].entries())
    writeFileSync(path.join(index % 2 ? tree : deep, `file-${index}`), Buffer.alloc(bytes, `${index}`));
  writeFileSync(path.join(tree, 'name\nof two lines'), 'x', {mode: 0o4711});
  symlinkSync('file-1', path.join(tree, 'link'));
  symlinkSync('x'.repeat(100), path.join(tree, 'long-link'));
  linkSync(path.join(tree, 'file-1'), path.join(tree, 'twin'));
  execFileSync('mkfifo', [path.join(tree, 'fifo')]);
});
afterAll(() => rmSync(directory, {recursive: true}));

function archiveOf(format: string, ...options: string[]): Buffer {
  const left = format === 'v7' ? ['--exclude=e*', '--exclude=fifo'] : []; // it has no way to say them
  const words = [
    `--format=${format}`,
    '--sort=name',
    ...left,
    ...options,
    '-C',
    path.join(directory, 'tree'),
  ];
  return execFileSync('tar', ['-c', ...words, '.'], {maxBuffer: 16 * 1024 ** 2, stdio: 'pipe'});
}

async function* inChunks(archive: Buffer, bytes: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < archive.length; start += bytes)
    yield Buffer.from(archive.subarray(start, start + bytes));
}

async function told(entry: TarEntry): Promise<unknown[]> {
  let name: string;
  try {
    name = entryPath(entry.path);
  } catch {
    name = entry.path.toString('latin1');
  }
  let text = '';
  if (entry.type === 'file') for await (const run of entry.body()) text += run.bytes.toString('latin1');
  const {type, linkPath, mode, uid, gid, mtimeNs} = entry;
  // Of what is no link the field says nothing.
  const link = type.endsWith('link') ? linkPath.toString('latin1') : '';
  return [type, name, link, mode, uid, gid, mtimeNs, text];
}

/** All entries, or as many as there are before a failure, and how it is called. */
async function list(
  archive: Buffer,
  bytes: number,
  collects: boolean,
): Promise<{entries: unknown[][]; collected: number; failure: string}> {
  const reader = readTar(inChunks(archive, bytes));
  const entries: unknown[][] = [];
  let collected = 0;
  try {
    for (;;) {
      for (let given = collects ? 1 : 0; given > 0; ) {
        const batch = new EntryBatch();
        given = reader.giveReady((chunk, from) => batch.collectTar(chunk, from, 3));
        for (let index = 0; index < batch.count; index++) {
          const {kind, path: name, other = '', metadata, bytes: text} = batch.entryAt(index);
          const {mode, uid, gid, mtimeNs} = metadata;
          entries.push([kinds[kind], name, other, mode, uid, gid, mtimeNs, text?.toString('latin1')]);
        }
        collected += batch.count;
      }
      const entry = reader.nextReady() ?? (await reader.next());
      if (!entry) return {entries, collected, failure: ''};
      entries.push(await told(entry));
    }
  } catch (error) {
    return {entries, collected, failure: error instanceof Error ? error.message : String(error)};
  }
}

test('what is collected natively is what the reader reads, in every format and however it is cut', async () => {
  for (const format of formats) {
    const archive = archiveOf(format, ...(format === 'pax' ? ['--mtime=2001-02-03T04:05:06.789Z'] : []));
    const {entries} = await list(archive, archive.length, false);
    expect(entries.length, format).toBeGreaterThan(8);
    for (const bytes of [...chunkBytes, archive.length]) {
      const both = await list(archive, bytes, true);
      expect({entries: both.entries, failure: both.failure}, `${format} in ${bytes}`).toEqual({
        entries,
        failure: '',
      });
      // Headers of their own for what is new, or no mark to know them by; and what was not asked for is not ready.
      const isOther = format === 'pax' || format === 'v7';
      expect(both.collected > 0, `${format} in ${bytes}`).toBe(!isOther && bytes > 512);
    }
  }
});

/** Numbers that look random and are the same each time. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state >>> 8;
  }
}

/** One byte of a header has another value, and the checksum is right again. */
function damaged(archive: Buffer, headers: readonly number[], random: Iterator<number, never>): Buffer {
  const copy = Buffer.from(archive);
  const next = (end: number) => random.next().value % end;
  const header = copy.subarray(headers[next(headers.length)]).subarray(0, 512);
  const values = [0, 0x20, 0x2e, 0x2f, 0x30, 0x37, 0x38, 0x80, 0xff, next(256)];
  header[next(next(2) ? 512 : 160)] = values[next(values.length)] as number;
  if (next(8) > 0) {
    header.fill(' ', 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0`, 148);
  }
  return copy;
}

test('a damaged header means to both the same', async () => {
  const random = numbers(2026);
  let [failures, collected] = [0, 0];
  for (const format of ['gnu', 'ustar', 'v7']) {
    const archive = archiveOf(format);
    const headers = Array.from({length: archive.length / 512}, (_, index) => index * 512).filter((start) =>
      archive.toString('latin1', start + 148, start + 156).match(/^0[0-7]{5}\0 $/),
    );
    for (let round = 0; round < 1500; round++) {
      const bytes = damaged(archive, headers, random);
      const plain = await list(bytes, bytes.length, false);
      const both = await list(bytes, bytes.length, true);
      expect([both.entries, both.failure], `${format} ${round}`).toEqual([plain.entries, plain.failure]);
      if (plain.failure) failures++;
      collected += both.collected;
    }
  }
  expect([failures > 100, collected > 10_000]).toEqual([true, true]);
});

test('a batch takes no more than it may, and nothing of another buffer', () => {
  const archive = archiveOf('ustar');
  const batch = new EntryBatch();
  const first = batch.collectTar(archive, 0, 100);
  expect(first).toEqual({count: 0, end: 0}); // the top
  const {count, end} = batch.collectTar(archive, 512, 2);
  expect(count).toBe(2);
  expect(batch.collectTar(Buffer.from(archive), end, 100)).toEqual({count: 0, end});
  expect(batch.collectTar(archive, end, 0)).toEqual({count: 0, end});
  expect(batch.collectTar(archive, end, 100).count).toBeGreaterThan(2);
  expect(batch.collectTar(archive.subarray(0, end + 511), end, 100).count).toBe(0);
});
