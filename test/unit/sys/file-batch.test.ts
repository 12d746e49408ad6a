import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, expect, test} from 'vitest';
import {FileBatch} from '../../../src/sys/file-batch.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-file-batch-'));
afterAll(() => rmSync(directory, {recursive: true}));

const metadata = {
  mode: 0o640,
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  mtimeNs: -1_500_000_000n,
  xattrs: new Map(),
};

test('files get contents, mode and time, in directories that are closed meanwhile', async () => {
  const batch = new FileBatch();
  for (const name of ['one', 'two']) {
    mkdirSync(path.join(directory, name));
    const dir = openSync(path.join(directory, name), 'r');
    for (const file of ['a', 'empty'])
      batch.add(
        {dir, path: name, name: Buffer.from(file)},
        Buffer.from(file === 'a' ? `in ${name}` : ''),
        metadata,
      );
    closeSync(dir); // the next one gets the same number
  }
  expect(await batch.make()).toEqual([]);
  for (const name of ['one', 'two']) {
    expect(readFileSync(path.join(directory, name, 'a'), 'utf8')).toBe(`in ${name}`);
    expect(readFileSync(path.join(directory, name, 'empty'))).toHaveLength(0);
    const stats = statSync(path.join(directory, name, 'a'), {bigint: true});
    expect([Number(stats.mode & 0o7777n), stats.mtimeNs]).toEqual([0o640, -1_500_000_000n]);
  }
});

test('what cannot be made is named, stays as it was, and the batch serves again', async () => {
  const dir = openSync(directory, 'r');
  writeFileSync(path.join(directory, 'old'), 'old');
  const batch = new FileBatch();
  const add = (name: string) =>
    batch.add({dir, path: '', name: Buffer.from(name)}, Buffer.from(`new ${name}`), metadata);
  for (const name of ['first', 'old', 'last']) add(name);
  expect(await batch.make()).toEqual([1]);
  expect(batch.contentsOf(1).toString()).toBe('new old');
  expect(readFileSync(path.join(directory, 'old'), 'utf8')).toBe('old');
  expect(readFileSync(path.join(directory, 'last'), 'utf8')).toBe('new last');
  batch.clear();
  add('again');
  expect(await batch.make()).toEqual([]);
  expect(readFileSync(path.join(directory, 'again'), 'utf8')).toBe('new again');
  closeSync(dir);
});
