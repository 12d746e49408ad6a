import {execFileSync} from 'node:child_process';
import {readFileSync, statSync} from 'node:fs';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {readVerification} from '../../../src/engine/embedded/pull/download-copies.ts';
import {findXattr, setXattr} from '../../../src/sys/xattr.ts';
import {tarOfOs} from '../../contract/engine-pulls.ts';
import {etagOf} from '../../served-files.ts';
import {PullBench, sha256} from './pull-bench.ts';

const disk = Buffer.alloc(65_536, 'disk');
const list = `${sha256(disk)}  disk.raw\n`;
const isRoot = process.geteuid?.() === 0;
let bench: PullBench;

beforeEach(async () => {
  bench = await PullBench.open({'/disk.raw': disk, '/tree.tar': tarOfOs()});
});
afterEach(() => bench.close());

const keep = {keepDownload: true} as const;

test('without a local name only the download copy is made', async () => {
  const result = await bench.pull('/disk.raw', {localName: undefined});
  expect(bench.names()).toEqual(['.raw-.raw']);
  expect(result.path).toBe(bench.copy());
  await bench.pull('/disk.raw', {localName: undefined});
  expect(bench.statuses('/disk.raw')).toEqual([200, 304]);
  expect(bench.names()).toEqual(['.raw-.raw']);
});

test('a copy tells where it came from, as importd writes it', async () => {
  await bench.pull('/disk.raw', keep);
  const attribute = (name: string) => findXattr(bench.copy(), name)?.toString();
  expect(attribute('user.source_url')).toBe(`${bench.server.url}/disk.raw`);
  expect(attribute('user.source_etag')).toBe(etagOf(disk));
});

test('a current copy serves a pull that keeps none, and stays as it is', async () => {
  await bench.pull('/disk.raw', {localName: undefined});
  await bench.pull('/disk.raw');
  expect(bench.names()).toEqual(['.raw-.raw', 'one.raw']);
  expect(statSync(bench.place('one.raw')).mode & 0o7777).toBe(0o644);
  expect(statSync(bench.copy()).mode & 0o7777).toBe(0o444);
});

test('a changed file gets a copy of its own', async () => {
  await bench.pull('/disk.raw', keep);
  bench.server.files.set('/disk.raw', {body: Buffer.from('new')});
  await bench.pull('/disk.raw', {...keep, localName: 'two'});
  expect(bench.names()).toEqual(['.raw-.raw', '.raw-.raw', 'one.raw', 'two.raw']);
  expect(readFileSync(bench.place('two.raw'), 'utf8')).toBe('new');
});

test('a server that answers 200 with a known validator is believed as well', async () => {
  await bench.pull('/disk.raw', keep);
  bench.server.files.set('/weak.raw', {body: disk, etag: 'W/"weak"'});
  await bench.pull('/weak.raw', {...keep, localName: 'two'});
  bench.server.files.set('/weak.raw', {
    body: Buffer.from('not read'),
    etag: 'W/"weak"',
    unconditional: true,
  });
  await bench.pull('/weak.raw', {...keep, localName: 'three'});
  expect(bench.statuses('/weak.raw')).toEqual([200, 200]);
  expect(readFileSync(bench.place('three.raw')).equals(disk)).toBe(true);
});

test('without a validator every pull replaces the copy', async () => {
  bench.server.files.set('/disk.raw', {body: disk, etag: null});
  await bench.pull('/disk.raw', keep);
  bench.server.files.set('/disk.raw', {body: Buffer.from('new'), etag: null});
  await bench.pull('/disk.raw', {...keep, localName: 'two'});
  expect(readFileSync(bench.copy(), 'utf8')).toBe('new');
});

test('the copy of a URL too long for a name is found again', async () => {
  const long = `/${'x'.repeat(200)}/disk.raw`;
  bench.server.files.set(long, {body: disk});
  await bench.pull(long, keep);
  expect(bench.copy()).toMatch(/\/\.raw-[0-9a-f]{1,16}\.\\x22[0-9a-f]{16}\\x22\.raw$/);
  await bench.pull(long, {...keep, localName: 'two'});
  expect(bench.statuses(long)).toEqual([200, 304]);
});

describe.runIf(isRoot)('of an archive', () => {
  test('the copy cannot be changed, the local tree can', async () => {
    await bench.pull('/tree.tar', {...keep, format: 'tar'});
    expect(() => execFileSync('touch', [`${bench.copy()}/new`], {stdio: 'ignore'})).toThrow();
    execFileSync('touch', [bench.place('one/new')]);
    await bench.pull('/tree.tar', {...keep, format: 'tar', localName: 'two', readOnly: true});
    expect(bench.statuses('/tree.tar')).toEqual([200, 304]);
    expect(() => execFileSync('touch', [bench.place('two/new')], {stdio: 'ignore'})).toThrow();
    expect(readFileSync(bench.place('two/etc/os-release'), 'utf8')).toBe('ID=test\n');
  });

  test('attributes inside cannot pass for the note of a verification', async () => {
    await bench.pull('/tree.tar', {...keep, format: 'tar'});
    const note = findXattr(bench.copy(), 'user.imgctl.verification') ?? Buffer.alloc(0);
    const other = bench.place('one');
    setXattr(other, 'user.imgctl.verification', note);
    expect(readVerification(bench.copy())).toMatchObject({level: 'none'});
    expect(readVerification(other)).toBeUndefined();
  });
});

describe('asked for with a higher level than before', () => {
  test('a copy is verified by its digest, and its level is noted', async () => {
    await bench.pull('/disk.raw', keep);
    expect(readVerification(bench.copy())).toEqual({level: 'none', sha256: sha256(disk)});
    bench.server.files.set('/SHA256SUMS', {body: Buffer.from(list)});
    const result = await bench.pull('/disk.raw', {...keep, localName: 'two', verify: 'checksum'});
    expect(bench.statuses('/disk.raw')).toEqual([200, 304]);
    expect(result.verification).toEqual({level: 'checksum', sha256: sha256(disk)});
    expect(readVerification(bench.copy())).toEqual(result.verification);
    expect(readVerification(bench.place('two.raw'))).toEqual(result.verification);
  });

  test('a copy that is not in the list is refused', async () => {
    await bench.pull('/disk.raw', keep);
    bench.server.files.set('/SHA256SUMS', {body: Buffer.from(`${sha256('other')}  disk.raw\n`)});
    const again = bench.pull('/disk.raw', {...keep, localName: 'two', verify: 'checksum'});
    await expect(again).rejects.toMatchObject({code: 'ChecksumError'});
    expect(bench.names()).toEqual(['.raw-.raw', 'one.raw']);
  });

  test('a copy of unknown origin, such as one of importd, is downloaded again', async () => {
    await bench.pull('/disk.raw', keep);
    setXattr(bench.copy(), 'user.imgctl.verification', Buffer.from('{}'));
    await bench.pull('/disk.raw', {...keep, localName: 'two'});
    bench.server.files.set('/SHA256SUMS', {body: Buffer.from(list)});
    await bench.pull('/disk.raw', {...keep, localName: 'three', verify: 'checksum'});
    expect(bench.statuses('/disk.raw')).toEqual([200, 304, 200]);
    expect(readVerification(bench.copy())).toMatchObject({level: 'checksum'});
  });

  test('a literal digest only takes the copy that has it', async () => {
    await bench.pull('/disk.raw', keep);
    await bench.pull('/disk.raw', {localName: 'two', verify: {sha256: sha256(disk)}});
    const wrong = bench.pull('/disk.raw', {localName: 'three', verify: {sha256: sha256('other')}});
    await expect(wrong).rejects.toMatchObject({code: 'ChecksumError'});
    expect(bench.statuses('/disk.raw')).toEqual([200, 304, 200]);
  });
});
