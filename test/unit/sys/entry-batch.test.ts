import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {EntryBatch, EntryMaker, entryKind} from '../../../src/sys/entry-batch.ts';

const {directory, whole, symlink, link, begin, part, end, finish} = entryKind;
const metadata = {
  mode: 0o640,
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  mtimeNs: -1_500_000_000n,
  xattrs: new Map(),
};

let outer: string;
let place: string;
let top: number;
let maker: EntryMaker;
let batch: EntryBatch;
beforeEach(() => {
  outer = mkdtempSync(path.join(tmpdir(), 'imgctl-entry-batch-'));
  place = path.join(outer, 'top');
  mkdirSync(place);
  top = openSync(place, 'r');
  maker = new EntryMaker(top);
  batch = new EntryBatch();
});
afterEach(() => {
  maker.close();
  closeSync(top);
  rmSync(outer, {recursive: true});
});

const contents = Buffer.from('one two three');
const bytesOf = (text: string) => {
  const start = contents.indexOf(text);
  return contents.subarray(start, start + text.length);
};
const inTop = {metadata};
const read = (name: string) => readFileSync(path.join(place, name), 'utf8');

test('entries of every kind are made in their order, with mode and time', async () => {
  batch.add({...inTop, kind: directory, path: 'd'});
  batch.add({kind: whole, path: 'd/a', metadata, bytes: bytesOf('two')});
  batch.add({kind: whole, path: 'd/empty', metadata});
  batch.add({...inTop, kind: symlink, path: 's', other: '/nowhere'});
  batch.add({...inTop, kind: link, path: 'l', other: 'd/a'});
  batch.add({...inTop, kind: finish, path: 'd'});
  expect(await maker.make(batch, 0)).toBe(6);
  const made = statSync(path.join(place, 'd'), {bigint: true});
  expect([Number(made.mode & 0o7777n), made.mtimeNs]).toEqual([0o640, -1_500_000_000n]);
  chmodSync(path.join(place, 'd'), 0o700);
  expect([read('d/a'), read('d/empty'), readlinkSync(path.join(place, 's'))]).toEqual([
    'two',
    '',
    '/nowhere',
  ]);
  const stats = statSync(path.join(place, 'l'), {bigint: true});
  expect([Number(stats.mode & 0o7777n), stats.nlink, stats.mtimeNs]).toEqual([0o640, 2n, -1_500_000_000n]);
  expect(lstatSync(path.join(place, 's'), {bigint: true}).mtimeNs).toBe(-1_500_000_000n);
});

test('a file may come in pieces of several batches, and change hands between them', async () => {
  batch.add({...inTop, kind: begin, path: 'f', bytes: bytesOf('one')});
  expect(await maker.make(batch, 0)).toBe(1);
  batch.clear();
  batch.add({...inTop, kind: part, path: 'f', bytes: bytesOf(' two')});
  expect(await maker.make(batch, 0)).toBe(1);
  const fd = maker.releaseFile();
  expect(statSync(path.join(place, 'f')).size).toBe(7);
  maker.adoptFile(fd, 7);
  batch.clear();
  batch.add({...inTop, kind: end, path: 'f', bytes: bytesOf(' three')});
  expect(await maker.make(batch, 0)).toBe(1);
  expect([read('f'), statSync(path.join(place, 'f')).mode & 0o7777]).toEqual(['one two three', 0o640]);
  expect(maker.releaseFile()).toBe(-1);
});

test('it stops at what cannot be made, leaves that as it was, and goes on behind it when asked', async () => {
  writeFileSync(path.join(place, 'old'), 'old');
  for (const name of ['first', 'old', 'last'])
    batch.add({...inTop, kind: whole, path: name, bytes: bytesOf('one')});
  expect(await maker.make(batch, 0)).toBe(1);
  expect(read('old')).toBe('old');
  expect(() => read('last')).toThrow('ENOENT');
  expect(await maker.make(batch, 2)).toBe(3);
  expect(read('last')).toBe('one');
});

test('nothing is made behind a link, above the top, or in a directory that is gone', async () => {
  for (const name of ['d', 'other']) mkdirSync(path.join(place, name));
  symlinkSync('d', path.join(place, 'link'));
  for (const name of ['link/f', '../top/f', '../f', 'missing/f', '/f', '..', 'd/.']) {
    batch.clear();
    batch.add({kind: whole, path: name, metadata, bytes: bytesOf('one')});
    batch.add({kind: whole, path: 'other/f', metadata, bytes: bytesOf('two')});
    expect(await maker.make(batch, 0), name).toBe(0);
    expect(await maker.make(batch, 1), name).toBe(2);
    expect([readdirSync(place), readdirSync(outer)], name).toEqual([['d', 'link', 'other'], ['top']]);
    expect(readdirSync(path.join(place, 'd')), name).toEqual([]);
    rmSync(path.join(place, 'other/f'));
  }
  batch.clear();
  writeFileSync(path.join(outer, 'outside'), '');
  batch.add({...inTop, kind: link, path: 'l', other: '../outside'});
  batch.add({...inTop, kind: link, path: 'l', other: 'link/../../outside'});
  expect([await maker.make(batch, 0), await maker.make(batch, 1)]).toEqual([0, 1]);
});

test('of more directories than stay open each gets what is its own, also where one was replaced', async () => {
  const names = Array.from({length: 40}, (_, index) => `d${index}`);
  for (const name of names) batch.add({...inTop, kind: directory, path: name});
  for (const file of ['a', 'b'])
    for (const name of names)
      batch.add({kind: whole, path: `${name}/${file}`, metadata, bytes: bytesOf('one')});
  expect(await maker.make(batch, 0)).toBe(120);
  expect(names.map((name) => readdirSync(path.join(place, name)))).toEqual(names.map(() => ['a', 'b']));
  rmSync(path.join(place, 'd39'), {recursive: true});
  mkdirSync(path.join(place, 'd39'));
  batch.clear();
  for (let index = 0; index < 2; index++) batch.add({kind: whole, path: 'd39/c', metadata});
  expect(await maker.make(batch, 0)).toBe(0); // it had the old one open, of which it knows nothing
  expect(await maker.make(batch, 1)).toBe(2);
  expect(readdirSync(path.join(place, 'd39'))).toEqual(['c']);
});

test('what does not lie in the buffers is refused', async () => {
  batch.add({...inTop, kind: whole, path: 'f', bytes: bytesOf('one')});
  batch.contents = Buffer.alloc(2);
  expect(await maker.make(batch, 0)).toBe(0);
  expect(() => read('f')).toThrow('ENOENT');
});
