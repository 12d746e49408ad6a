import {execFileSync} from 'node:child_process';
import {existsSync, mkdirSync, readFileSync, statSync, symlinkSync} from 'node:fs';
import path from 'node:path';
import {gzipSync} from 'node:zlib';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {PullBench} from './pull-bench.ts';

const elsewhere = '/dev/shm';
const mebibyte = 1024 * 1024;
/** Zeros in the middle and at the end, longer than what comes in one piece. */
const disk = Buffer.alloc(12 * mebibyte);
disk.fill('begin', 0, mebibyte);
disk.fill('middle', 5 * mebibyte, 6 * mebibyte);
let bench: PullBench;

beforeEach(async () => {
  bench = await PullBench.open({'/disk.raw': disk});
});
afterEach(() => bench.close());

const keep = {keepDownload: true} as const;

test('a disk that is stored as it came is whole, twice, and apart', async () => {
  await bench.pull('/disk.raw', keep);
  expect(bench.names()).toEqual(['.raw-.raw', 'one.raw']);
  for (const place of [bench.copy(), bench.place('one.raw')]) {
    expect(readFileSync(place).equals(disk)).toBe(true);
    expect(statSync(place).nlink).toBe(1);
  }
  expect(statSync(bench.copy()).mode & 0o7777).toBe(0o444);
  expect(statSync(bench.place('one.raw')).mode & 0o7777).toBe(0o644);
  expect(bench.cached()).toEqual([]);
});

test('its zeros take no room', async () => {
  await bench.pull('/disk.raw', keep);
  for (const place of [bench.copy(), bench.place('one.raw')])
    expect(statSync(place).blocks * 512).toBeLessThan(6 * mebibyte);
});

test('a disk that has to be decoded is whole, twice, and apart', async () => {
  bench.server.files.set('/disk.raw.gz', {body: gzipSync(disk)});
  await bench.pull('/disk.raw.gz', keep);
  expect(bench.names()).toEqual(['.raw-.raw', 'one.raw']);
  for (const place of [bench.copy(), bench.place('one.raw')]) {
    expect(readFileSync(place).equals(disk)).toBe(true);
    expect(statSync(place)).toMatchObject({nlink: 1, mtimeMs: statSync(bench.copy()).mtimeMs});
    expect(statSync(place).blocks * 512).toBeLessThan(6 * mebibyte);
  }
  expect(statSync(bench.copy()).mode & 0o7777).toBe(0o444);
  expect(statSync(bench.place('one.raw')).mode & 0o7777).toBe(0o644);
  await bench.pull('/disk.raw.gz', {...keep, localName: 'two'});
  expect(readFileSync(bench.place('two.raw')).equals(disk)).toBe(true);
});

test('a name that is taken keeps its image, and the file is pulled anew', async () => {
  await bench.pull('/disk.raw');
  const again = bench.pull('/disk.raw');
  await expect(again).rejects.toMatchObject({code: 'ImageAlreadyExists'});
  expect(readFileSync(bench.place('one.raw')).equals(disk)).toBe(true);
  await bench.pull('/disk.raw', {localName: 'two'});
  expect(readFileSync(bench.place('two.raw')).equals(disk)).toBe(true);
});

test.runIf(existsSync(elsewhere))('a cache on another mount does as well', async () => {
  const cache = path.join(bench.directory, 'cache');
  const made = execFileSync('mktemp', ['-d', '-p', elsewhere]).toString().trim();
  try {
    mkdirSync(path.join(made, 'cache'));
    symlinkSync(path.join(made, 'cache'), cache);
    await bench.pull('/disk.raw', keep);
    expect(readFileSync(bench.copy()).equals(disk)).toBe(true);
    expect(readFileSync(bench.place('one.raw')).equals(disk)).toBe(true);
  } finally {
    execFileSync('rm', ['-r', made]);
  }
});
