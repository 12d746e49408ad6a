import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
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
import {EntryBatch, EntryMaker, entryKind, slotCount} from '../../../src/sys/entry-batch.ts';

const {enter, directory, whole, symlink, link, begin, part, end, finish} = entryKind;
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
const inTop = {slot: slotCount, metadata};
const read = (name: string) => readFileSync(path.join(place, name), 'utf8');

test('entries of every kind are made in their order, with mode and time', async () => {
  batch.add({...inTop, kind: directory, name: 'd'});
  batch.add({kind: enter, slot: 3, name: 'd'});
  batch.add({kind: whole, slot: 3, name: 'a', metadata, bytes: bytesOf('two')});
  batch.add({kind: whole, slot: 3, name: 'empty', metadata});
  batch.add({...inTop, kind: symlink, name: 's', other: '/nowhere'});
  batch.add({...inTop, kind: link, name: 'l', other: 'd/a'});
  batch.add({...inTop, kind: finish, name: 'd'});
  expect(await maker.make(batch, 0)).toBe(7);
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
  batch.add({...inTop, kind: begin, name: 'f', bytes: bytesOf('one')});
  expect(await maker.make(batch, 0)).toBe(1);
  batch.clear();
  batch.add({...inTop, kind: part, name: 'f', bytes: bytesOf(' two')});
  expect(await maker.make(batch, 0)).toBe(1);
  const fd = maker.releaseFile();
  expect(statSync(path.join(place, 'f')).size).toBe(7);
  maker.adoptFile(fd, 7);
  batch.clear();
  batch.add({...inTop, kind: end, name: 'f', bytes: bytesOf(' three')});
  expect(await maker.make(batch, 0)).toBe(1);
  expect([read('f'), statSync(path.join(place, 'f')).mode & 0o7777]).toEqual(['one two three', 0o640]);
  expect(maker.releaseFile()).toBe(-1);
});

test('it stops at what cannot be made, leaves that as it was, and goes on behind it when asked', async () => {
  writeFileSync(path.join(place, 'old'), 'old');
  for (const name of ['first', 'old', 'last'])
    batch.add({...inTop, kind: whole, name, bytes: bytesOf('one')});
  expect(await maker.make(batch, 0)).toBe(1);
  expect(read('old')).toBe('old');
  expect(() => read('last')).toThrow('ENOENT');
  expect(await maker.make(batch, 2)).toBe(3);
  expect(read('last')).toBe('one');
});

test('a directory is entered neither through a link nor above the top, and nothing lands in the one before', async () => {
  mkdirSync(path.join(place, 'd'));
  symlinkSync('d', path.join(place, 'link'));
  for (const name of ['link', '../top', '..', 'missing', '/']) {
    batch.clear();
    batch.add({kind: enter, slot: 0, name: 'd'});
    batch.add({kind: enter, slot: 0, name});
    batch.add({kind: whole, slot: 0, name: 'f', metadata, bytes: bytesOf('one')});
    expect(await maker.make(batch, 0), name).toBe(1);
    expect(await maker.make(batch, 2), name).toBe(2);
    expect(() => read('d/f'), name).toThrow('ENOENT');
  }
  batch.clear();
  writeFileSync(path.join(outer, 'outside'), '');
  batch.add({...inTop, kind: link, name: 'l', other: '../outside'});
  batch.add({...inTop, kind: link, name: 'l', other: 'link/../../outside'});
  expect([await maker.make(batch, 0), await maker.make(batch, 1)]).toEqual([0, 1]);
});

test('what does not lie in the buffers is refused', async () => {
  batch.add({...inTop, kind: whole, name: 'f', bytes: bytesOf('one')});
  batch.contents = Buffer.alloc(2);
  expect(await maker.make(batch, 0)).toBe(0);
  batch.clear();
  batch.add({...inTop, kind: whole, slot: slotCount + 1, name: 'f'});
  expect(await maker.make(batch, 0)).toBe(0);
  expect(() => read('f')).toThrow('ENOENT');
});
