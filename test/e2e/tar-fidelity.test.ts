/**
 * Archives unpacked by imgctl and by GNU tar, on the file systems images lie on, compared inode by inode. Needs root and
 * loop devices.
 */

import {execFileSync, spawnSync} from 'node:child_process';
import {createHash, randomUUID} from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {makeNastyTree} from '../support/nasty-tree.ts';
import {listTree} from '../support/tree-listing.ts';

const bin = path.join(import.meta.dirname, '../../bin');
const work = mkdtempSync(path.join(os.tmpdir(), 'imgctl-fidelity.'));
const archives = path.join(work, 'archives');
const manyFiles = 10_000;

const extract = ['--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner', '-p'];

beforeAll(() => {
  chmodSync(work, 0o755);
  mkdirSync(archives);
  const disk = mountedDisk('ext4', 'source');
  makeSources(disk);
  makeArchives(disk);
});

afterAll(() => {
  for (const disk of ['source', 'ext4', 'xfs', 'btrfs']) {
    const place = path.join(work, disk);
    if (existsSync(`${place}.mounted`)) execFileSync('umount', [place]);
  }
  spawnSync('chattr', ['-R', '-f', '-i', work]);
  rmSync(work, {recursive: true, force: true});
});

/** A new file system of that type; it is unmounted at the end. */
function mountedDisk(type: string, name: string): string {
  const place = path.join(work, name);
  execFileSync('truncate', ['-s', '2G', `${place}.disk`]);
  execFileSync(`mkfs.${type}`, ['-q', `${place}.disk`]);
  mkdirSync(place);
  execFileSync('mount', ['-o', 'loop', `${place}.disk`, place]);
  writeFileSync(`${place}.mounted`, '');
  return place;
}

function makeSources(disk: string): void {
  const nasty = path.join(disk, 'nasty');
  mkdirSync(nasty);
  makeNastyTree(nasty);
  const script = `
    cd "$1"
    rm disk && mknod disk b 259 200000 && chmod 660 disk
    setfattr -n user.empty -v '' first
    setfattr -n trusted.mark -v yes etc
    setfattr -n user.on-directory -v x usr
    setfacl -m u:1234:rwx,d:u:77:r-x,d:g:88:--- sticky
    chown 4000000:5000000 later
    truncate -s 20M holes-only
    truncate -s 8M ends-with-hole; printf start | dd of=ends-with-hole conv=notrunc status=none
    touch -d '1969-12-31T23:00:00.5Z' before-epoch
    touch -d '2200-01-01T00:00:00.000000001Z' far-future
    ln -s "$(printf '%0200d' 0)" long-link
    mkdir -p "$(printf 'a%.0s' $(seq 90))/$(printf 'b%.0s' $(seq 90))/$(printf 'c%.0s' $(seq 90))"
    touch "$(printf 'a%.0s' $(seq 90))/$(printf 'b%.0s' $(seq 90))/$(printf 'c%.0s' $(seq 90))/file"
    ln "$(printf 'a%.0s' $(seq 90))/$(printf 'b%.0s' $(seq 90))/$(printf 'c%.0s' $(seq 90))/file" link-to-long
    touch -- '-dash' ' blank ' 'back\\\\slash' '*?[' "$(printf 'tab\\there')"
    mkdir empty
    chmod 700 . && touch -d 2001-02-03T04:05:06.789Z .
  `;
  execFileSync('bash', ['-euc', script, 'bash', nasty]);
  const many = path.join(disk, 'many');
  mkdirSync(many);
  for (let index = 0; index < manyFiles; index += 1) {
    const directory = path.join(many, String(index % 100));
    if (index < 100) mkdirSync(directory);
    writeFileSync(path.join(directory, `file-${index}`), `content ${index}`);
  }
}

/** What a format cannot hold tar leaves out, with status 2; the archive is right. */
function makeArchives(disk: string): void {
  const holes = ['--exclude=./sparse', '--exclude=./holes-only', '--exclude=./ends-with-hole'];
  const pack = (name: string, source: string, ...options: string[]): void => {
    const file = path.join(archives, name);
    const {status, stderr} = spawnSync('tar', [...options, '-C', path.join(disk, source), '-cf', file, '.']);
    if (status !== 0 && status !== 2) throw new Error(String(stderr));
  };
  const everything = ['--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner'];
  pack('posix', 'nasty', '--format=posix', ...holes, ...everything);
  pack('posix-sparse', 'nasty', '--format=posix', '--sparse', ...everything);
  pack('posix-sparse-0.0', 'nasty', '--format=posix', '--sparse', '--sparse-version=0.0', ...everything);
  pack('posix-sparse-0.1', 'nasty', '--format=posix', '--sparse', '--sparse-version=0.1', ...everything);
  pack('gnu', 'nasty', '--format=gnu', '--numeric-owner', ...holes);
  pack('gnu-sparse', 'nasty', '--format=gnu', '--sparse');
  pack('oldgnu', 'nasty', '--format=oldgnu', '--numeric-owner', ...holes);
  pack('ustar', 'nasty', '--format=ustar', '--numeric-owner', ...holes);
  pack('v7', 'nasty', '--format=v7', '--numeric-owner', ...holes);
  pack('many', 'many', '--format=posix');
}

interface Unpacked {
  tree: string;
  stderr: string;
}

/** Installs the archive as an image below the root. */
function install(
  root: string,
  archive: string,
  {as = [], quiet = true}: {as?: readonly string[]; quiet?: boolean} = {},
): Unpacked {
  const uuid = randomUUID();
  const file = path.join(archives, archive);
  const sha1 = createHash('sha1').update(readFileSync(file)).digest('hex');
  const manifest = path.join(work, `${uuid}.imgmanifest`);
  const files = [{sha1, size: statSync(file).size, compression: 'none'}];
  const fields = {v: 2, uuid, name: archive, version: '1', type: 'lx-dataset', os: 'linux', files};
  writeFileSync(manifest, JSON.stringify(fields));
  const command = [...as, path.join(bin, 'imgctl'), '--root', root, 'install', ...(quiet ? ['-q'] : [])];
  const {status, stderr} = spawnSync('env', [...command, '-m', manifest, '-f', file], {
    encoding: 'utf8',
    cwd: work,
  });
  expect(status, stderr).toBe(0);
  return {tree: path.join(root, 'var/lib/machines', uuid), stderr};
}

function unpackWithTar(directory: string, archive: string): {tree: string} {
  const tree = mkdtempSync(path.join(directory, 'gnu-tar.'));
  execFileSync('tar', [...extract, '-C', tree, '-xf', path.join(archives, archive)]);
  return {tree};
}

/** Blocks that the files with holes take. */
function blocksOf(tree: string): number {
  return ['sparse', 'holes-only', 'ends-with-hole']
    .map((name) => statSync(path.join(tree, name)).blocks)
    .reduce((sum, blocks) => sum + blocks, 0);
}

const formats = [
  'posix',
  'posix-sparse',
  'posix-sparse-0.0',
  'posix-sparse-0.1',
  'gnu',
  'gnu-sparse',
  'oldgnu',
  'ustar',
  'v7',
  'many',
];

describe.each(['ext4', 'xfs', 'btrfs'])('on %s', (type) => {
  let disk: string;
  beforeAll(() => {
    disk = mountedDisk(type, type);
  });

  test.each(formats)('an archive of kind %s becomes what GNU tar makes of it', (archive) => {
    const expected = unpackWithTar(disk, archive);
    const actual = install(path.join(disk, 'root'), archive);
    const listing = listTree(expected.tree);
    expect(Object.keys(listing).length).toBeGreaterThan(archive === 'many' ? manyFiles : 40);
    expect(listTree(actual.tree)).toEqual(listing);
    if (archive.includes('sparse'))
      expect(blocksOf(actual.tree)).toBeLessThanOrEqual(blocksOf(expected.tree));
    expect(actual.stderr).toBe('');
  });
});

const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

describe('for an ordinary user', () => {
  let place: string;
  beforeAll(() => {
    place = mkdtempSync(path.join(work, 'user.'));
    execFileSync('chown', ['65534:65534', place]);
    execFileSync('chmod', ['-R', 'a+rX', archives]);
  });

  test.each(['posix', 'posix-sparse', 'gnu', 'v7'])(
    '%s becomes what root gets, but for what takes root, and that is named',
    (archive) => {
      const listing = listTree(unpackWithTar(work, archive).tree, {withoutOwners: true});
      const {tree, stderr} = install(path.join(place, 'root'), archive, {as: nobody, quiet: false});
      expect(listTree(tree, {withoutOwners: true})).toEqual(withoutPrivileges(listing));
      expect(stderr).toContain('not keep the owner, for example');
      expect(stderr).toContain('not keep the set-user-id or set-group-id bit, for example');
      if (archive !== 'v7') expect(stderr).toContain('left out as device nodes, for example');
      if (archive.startsWith('posix')) expect(stderr).toMatch(/5 entries do not keep an extended attribute/);
    },
  );

  test('what is left of an interrupted run is removed although directories forbid it', () => {
    const root = path.join(place, 'swept');
    const stale = path.join(root, 'var/lib/machines/.#stale0123456789abcdef');
    const script =
      'umask 077; mkdir -p "$1/tree/a/b"; touch "$1/tree/a/file"; chmod 0 "$1/tree/a/b"; chmod 500 "$1/tree/a"';
    execFileSync('env', [...nobody, 'sh', '-c', script, 'sh', stale]);
    install(root, 'v7', {as: nobody});
    expect(existsSync(stale)).toBe(false);
  });
});

/** Without devices, rights that come with an owner, and attributes that name others or need root. */
function withoutPrivileges(listing: Record<string, string>): Record<string, string> {
  const kept = Object.entries(listing).filter(([, text]) => !text.includes(' device='));
  return Object.fromEntries(kept.map(([name, text]) => [name, ordinary(text)]));
}

function ordinary(text: string): string {
  const mode = Number.parseInt(text, 8);
  return text
    .replace(/^\d+/, (mode & ~0o6000).toString(8))
    .replace(/ (?:security|trusted|system)\.\w+=\w*/g, '');
}
