import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {gzipSync} from 'node:zlib';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {AT_FDCWD, setTimesAt} from '../../../src/sys/files.ts';
import {removeTree} from '../../../src/sys/remove-tree.ts';
import {PullBench} from './pull-bench.ts';

const isRoot = process.geteuid?.() === 0;
let scratch: string;
let bench: PullBench;

beforeEach(async () => {
  scratch = mkdtempSync(path.join(tmpdir(), 'imgctl-twins-'));
  bench = await PullBench.open(
    {
      '/tree.tar': everyKind(),
      '/bad.tar': Buffer.from('no archive'),
      '/disk.raw': disk,
      '/disk.raw.gz': gzipSync(disk, {level: 1}),
      '/large.raw': Buffer.alloc(maxUnpackedBytes + 1, 1),
    },
    {maxUnpackedBytes},
  );
});
afterEach(async () => {
  await bench.close();
  await removeTree(scratch);
});

const maxUnpackedBytes = 64 * 1024 * 1024;
/** 20 MiB of data with 20 MiB of zeros before, between and behind them. */
const disk = Buffer.concat(
  [0, 7, 0, 9, 0].map((byte) => Buffer.alloc((byte > 0 ? 20 : 10) * 512 * 1024 * (byte > 0 ? 1 : 2), byte)),
);

const kept = {format: 'tar', keepDownload: true} as const;

/** Files small, large, sparse, linked, of every other kind, with attributes, and some that come twice. */
function everyKind(): Buffer {
  const tree = path.join(scratch, 'tree');
  const archive = path.join(scratch, 'tree.tar');
  mkdirSync(path.join(tree, 'etc/closed'), {recursive: true});
  const file = (name: string, bytes: string | Buffer) => writeFileSync(path.join(tree, name), bytes);
  file('etc/os-release', 'ID=one\n');
  file('etc/closed/secret', 'x');
  file('large', Buffer.alloc(300_000, 'large'));
  file('grows', 'small');
  file('shrinks', Buffer.alloc(300_000, 'shrinks'));
  file('runs-as', '#!');
  file('marked', 'with an attribute');
  const script = `
    chmod 4755 runs-as; chmod 0 etc/closed/secret; chmod 711 etc/closed; truncate -s 1M sparse; printf end >>sparse
    ln -s etc/os-release link; ln large again; ln etc/os-release etc/release; mkfifo pipe; touch -d 2001-02-03 etc
    tar -S --exclude=marked --numeric-owner -cf ../tree.tar .
    printf changed >etc/os-release; seq 90000 >grows; printf small >shrinks
    tar --numeric-owner -rf ../tree.tar ./etc/os-release ./grows ./shrinks
    tar --format=posix --pax-option=SCHILY.xattr.user.note:=x,SCHILY.xattr.trusted.note:=y --numeric-owner -rf ../tree.tar ./marked`;
  execFileSync('sh', ['-euc', script], {cwd: tree});
  return readFileSync(archive);
}

/** All that tar can tell of what is in a tree, of which the top has a time of its own. */
function described(tree: string): Buffer {
  setTimesAt(AT_FDCWD, tree, 0n, 0n);
  const options = [
    '--format=posix',
    '--pax-option=delete=atime,delete=ctime,exthdr.name=%d/%f',
    '--sort=name',
    '--numeric-owner',
  ];
  return execFileSync(
    'tar',
    [...options, '--xattrs', '--xattrs-include=*', '--xattrs-exclude=user.imgctl.*', '-C', tree, '-c', '.'],
    {maxBuffer: 16 * 1024 * 1024},
  );
}

test.runIf(isRoot)('a tree that is kept and wanted under a name is the same twice', async () => {
  const {path: made} = await bench.pull('/tree.tar', kept);
  expect(bench.names()).toEqual(['.tar-', 'one']);
  expect(readFileSync(path.join(made, 'etc/release'), 'utf8')).toBe('ID=one\n');
  expect(readFileSync(path.join(made, 'etc/os-release'), 'utf8')).toBe('changed');
  expect(readFileSync(path.join(made, 'shrinks'), 'utf8')).toBe('small');
  const copy = bench.copy();
  execFileSync('cp', ['-a', copy, path.join(scratch, 'copy')]); // the copy itself cannot be touched
  expect(described(path.join(scratch, 'copy')).equals(described(made))).toBe(true);
});

test.runIf(isRoot)('changing the one leaves the other as it is', async () => {
  const {path: made} = await bench.pull('/tree.tar', kept);
  writeFileSync(path.join(made, 'large'), 'changed');
  writeFileSync(path.join(made, 'runs-as'), 'changed');
  expect(readFileSync(path.join(bench.copy(), 'runs-as'), 'utf8')).toBe('#!');
  expect(readFileSync(path.join(bench.copy(), 'again')).length).toBe(300_000);
});

test('an archive that cannot be unpacked leaves neither', async () => {
  await expect(bench.pull('/bad.tar', kept)).rejects.toMatchObject({code: 'InvalidArchive'});
  expect(bench.names()).toEqual([]);
});

test.runIf(isRoot)('with a copy that is here the tree is made of that', async () => {
  await bench.pull('/tree.tar', {...kept, localName: undefined});
  const {path: made} = await bench.pull('/tree.tar', kept);
  expect(bench.statuses('/tree.tar')).toEqual([200, 304]);
  execFileSync('cp', ['-a', bench.copy(), path.join(scratch, 'copy')]);
  expect(described(path.join(scratch, 'copy')).equals(described(made))).toBe(true);
});

for (const [name, served] of [
  ['a disk that comes as it is stored', '/disk.raw'],
  ['a disk that is decoded', '/disk.raw.gz'],
] as const) {
  test(`${name} is the same twice, with its holes, each a file of its own`, async () => {
    const {path: made} = await bench.pull(served, {keepDownload: true});
    expect(bench.names()).toEqual(['.raw-.raw', 'one.raw']);
    expect(bench.cached()).toEqual([]);
    for (const file of [made, bench.copy()]) {
      expect(readFileSync(file).equals(disk)).toBe(true);
      expect(statSync(file).blocks * 512).toBeLessThan(disk.length * 0.6);
      expect(statSync(file).nlink).toBe(1);
    }
    expect(statSync(made).mode & 0o777).toBe(0o644);
    expect(statSync(bench.copy()).mode & 0o222).toBe(0);
    expect(statSync(made).mtimeMs).toBe(statSync(bench.copy()).mtimeMs);
    expect((await bench.pull(served, {localName: 'two', keepDownload: true})).path).toMatch(/two\.raw$/);
    expect(bench.statuses(served)).toEqual([200, 304]);
  });

  test(`${name} and is not kept, or has no other name, is one file`, async () => {
    const {path: made} = await bench.pull(served);
    expect(bench.names()).toEqual(['one.raw']);
    expect(readFileSync(made).equals(disk)).toBe(true);
    await bench.pull(served, {localName: undefined});
    expect(readFileSync(bench.copy()).equals(disk)).toBe(true);
    expect(bench.cached()).toEqual([]);
  });
}

test('a disk above the limit is refused whether it has to be decoded or not, and leaves nothing', async () => {
  for (const keepDownload of [true, false])
    await expect(bench.pull('/large.raw', {keepDownload})).rejects.toMatchObject({code: 'LimitExceeded'});
  expect(bench.names()).toEqual([]);
  expect(bench.cached()).toEqual([]);
});
