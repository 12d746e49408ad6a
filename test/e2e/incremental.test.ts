/** Instance → change → create -i → publish → import elsewhere, three images deep, on every file system. Needs root. */
import {
  appendFileSync,
  chmodSync,
  closeSync,
  cpSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import {describe, expect, test} from 'vitest';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {setXattr} from '../../src/sys/xattr.ts';
import {type FileSystemKind, missingFor, withFileSystem} from '../support/loop-fs.ts';
import {makeNastyTree} from '../support/nasty-tree.ts';
import {makeDisk} from '../support/qcow2.ts';
import {expectSameTree} from '../support/tree-listing.ts';
import {type Host, type TwoHosts, withTwoHosts} from '../support/two-hosts.ts';

const kinds = (['ext4', 'xfs', 'btrfs'] as const).filter((kind) => missingFor(kind) === undefined);
const uuids = [1, 2, 3, 4].map((digit) =>
  `${digit}`.repeat(8).concat(`-1111-4111-8111-${`${digit}`.repeat(12)}`),
);

function removal(at: (name: string) => string): void {
  rmSync(at('etc/shadow'));
  rmSync(at('deep'), {recursive: true});
  rmSync(at('sticky'), {recursive: true});
  writeFileSync(at('sticky'), 'a file where a directory was');
  rmSync(at('absolute-link'));
  mkdirSync(at('absolute-link/inner'), {recursive: true});
  rmSync(at('closed'), {recursive: true});
  mkdirSync(at('closed'));
  writeFileSync(at('closed/other'), 'nothing of before');
}

/** Everything that two trees can differ in. */
function changeTree(root: string): void {
  const at = (name: string) => path.join(root, name);
  removal(at);
  const {atime, mtime} = statSync(at('later'));
  writeFileSync(at('later'), 'LAST');
  utimesSync(at('later'), atime, mtime);
  chmodSync(at('usr/bin'), 0o711);
  setXattr(at('setgid'), 'user.note', Buffer.from('new'));
  linkSync(at('usr/bin/su'), at('usr/bin/su-too'));
  rmSync(at('etc/second'));
  writeFileSync(at('etc/second'), 'one inode');
  utimesSync(at('usr'), 1, 1);
  symlinkSync('later', at('to-later'));
  writeFileSync(at('.hidden'), '');
}

function changeTreeAgain(root: string): void {
  const at = (name: string) => path.join(root, name);
  rmSync(at('sticky'));
  mkdirSync(at('sticky'));
  rmSync(at('.hidden'));
  appendFileSync(at('first'), ', changed by one of its names');
  writeFileSync(at('etc/shadow'), 'back again');
}

function changeDisk(file: string): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, 'changed', 300_000);
  writeSync(fd, Buffer.alloc(200_000), 0, 200_000, 900_000);
  writeSync(fd, 'behind the old end', statSync(file).size + 100_001);
  closeSync(fd);
}

function changeDiskAgain(file: string): void {
  truncateSync(file, 5_000_001);
  const fd = openSync(file, 'r+');
  writeSync(fd, 'x', 5_000_000);
  closeSync(fd);
}

/** An instance, made into an image that is at the server and installed where it was made. */
function publish(host: Host, machine: string, step: number, {url}: TwoHosts['world']): void {
  const [uuid = ''] = uuids.slice(step);
  const fields = [machine, `uuid=${uuid}`, 'name=chain', `version=${step}`, 'os=linux', 'public=true'];
  const flags = step === 0 ? [] : ['-i'];
  host.run('create', '-q', ...flags, '-c', 'gzip', '-p', url, ...fields);
  host.run('import', '-q', uuid);
}

function makeChain(hosts: TwoHosts, suffix: string, changes: readonly ((file: string) => void)[]): void {
  const {maker, world} = hosts;
  publish(maker, 'seed', 0, world);
  for (const [index, change] of changes.entries()) {
    maker.run('clone', uuids[index] ?? '', `step${index + 1}`);
    change(maker.machine(`step${index + 1}${suffix}`));
    publish(maker, `step${index + 1}`, index + 1, world);
  }
}

/** The whole chain is used by its newest instance; with that gone, all that nothing is made from. Asked twice: vacuum repeats itself. */
async function vacuumKeepsTheChain(host: Host, suffix = ''): Promise<void> {
  const images = () =>
    readdirSync(host.machine(''))
      .filter((name) => /^\d{8}-/.test(name))
      .sort();
  host.run('clone', uuids[2] ?? '', 'worker');
  expect(host.run('vacuum', '-f')).toBe(`Deleted image ${uuids[3]} (chain@3)\n`);
  expect(images().map((name) => name.slice(0, 36))).toEqual(uuids.slice(0, 3));
  expect(host.run('vacuum', '-f')).toBe('');
  await removeTree(host.machine(`worker${suffix}`));
  expect(host.run('vacuum', '-f')).toBe(
    [2, 1, 0].map((step) => `Deleted image ${uuids[step]} (chain@${step})\n`).join(''),
  );
  expect(images()).toEqual([]);
}

describe.each(kinds)('on %s', (kind: FileSystemKind) => {
  test('a chain of three trees arrives as it was made', {timeout: 120_000}, async () => {
    await withFileSystem(kind, 600, (mount) =>
      withTwoHosts(mount, async (hosts) => {
        const {maker, user} = hosts;
        mkdirSync(maker.machine('seed'));
        makeNastyTree(maker.machine('seed'));
        makeChain(hosts, '', [changeTree, changeTreeAgain, () => undefined]);
        user.run('import', '-q', uuids[3] ?? '');
        for (const step of [1, 2, 3]) {
          expectSameTree(user.machine(uuids[step] ?? ''), maker.machine(`step${step}`));
          expectSameTree(maker.machine(uuids[step] ?? ''), maker.machine(`step${step}`));
        }
        expect(user.try('delete', uuids[1] ?? '').stderr).toContain('has dependent clones');
        await vacuumKeepsTheChain(user);
        expect(maker.run('vacuum', '-f')).toBe(`Deleted image ${uuids[3]} (chain@3)\n`);
        expectSameTree(maker.machine(uuids[2] ?? ''), maker.machine('step2'));
      }),
    );
  });

  test('a chain of three disks arrives as it was made', {timeout: 120_000}, async () => {
    await withFileSystem(kind, 600, (mount) =>
      withTwoHosts(mount, async (hosts) => {
        const {maker, user} = hosts;
        makeDisk(maker.machine('seed.raw'), 20 << 20);
        makeChain(hosts, '.raw', [changeDisk, changeDiskAgain, () => undefined]);
        user.run('import', '-q', uuids[3] ?? '');
        for (const step of [1, 2, 3]) {
          const made = readFileSync(maker.machine(`step${step}.raw`));
          expect(readFileSync(user.machine(`${uuids[step]}.raw`)).equals(made)).toBe(true);
        }
        expect(readdirSync(user.machine('')).filter((name) => name.startsWith('.'))).toEqual([]);
        await vacuumKeepsTheChain(user, '.raw');
      }),
    );
  });
});

describe('an incremental image', () => {
  const hosted = (use: (hosts: TwoHosts) => Promise<void>) =>
    withFileSystem('ext4', 200, (mount) => withTwoHosts(mount, use));

  function makeSmallChain({maker, world}: TwoHosts): void {
    mkdirSync(maker.machine('seed/etc'), {recursive: true});
    writeFileSync(maker.machine('seed/etc/name'), 'one');
    publish(maker, 'seed', 0, world);
    maker.run('clone', uuids[0] ?? '', 'step1');
    writeFileSync(maker.machine('step1/etc/name'), 'two');
    maker.run(
      'create',
      '-i',
      '-o',
      'delta',
      'step1',
      `uuid=${uuids[1]}`,
      'name=chain',
      'version=1',
      'os=linux',
    );
  }

  const install = (host: Host, maker: Host) =>
    host.try('install', '-m', `${maker.root}/delta.imgmanifest`, '-f', `${maker.root}/delta.tar`);

  test('is refused where its origin was changed, and nothing is left', async () => {
    await hosted(async (hosts) => {
      const {maker, user, world} = hosts;
      makeSmallChain(hosts);
      const origin = user.machine('changed');
      mkdirSync(path.join(origin, 'etc'), {recursive: true});
      cpSync(maker.machine('seed/etc/name'), path.join(origin, 'etc/name'), {preserveTimestamps: true});
      chmodSync(path.join(origin, 'etc/name'), 0o600);
      // Another image under the UUID of the origin.
      const fields = [`uuid=${uuids[0]}`, 'name=other', 'version=1', 'os=linux'];
      user.run('create', '-o', 'other', 'changed', ...fields);
      user.run('install', '-m', `${user.root}/other.imgmanifest`, '-f', `${user.root}/other.tar`);
      const outcome = install(user, maker);
      expect(outcome.status).toBe(1);
      expect(outcome.stderr).toContain(
        `error (OriginMismatch): origin image "${uuids[0]}" is not what image "${uuids[1]}" was made over`,
      );
      expect(readdirSync(user.machine('')).sort()).toEqual([uuids[0], 'changed']);
      user.run('delete', uuids[0] ?? '');
      user.run('import', '-q', '-S', world.url, uuids[0] ?? '');
      expect(install(user, maker).status).toBe(0);
      expect(readFileSync(user.machine(`${uuids[1]}/etc/name`), 'utf8')).toBe('two');
    });
  });

  test('is refused without its origin, with the exit status for that', async () => {
    await hosted(async (hosts) => {
      makeSmallChain(hosts);
      const outcome = install(hosts.user, hosts.maker);
      expect(outcome.status).toBe(3);
      expect(outcome.stderr).toContain(`origin image "${uuids[0]}" was not found on zpool "zones"`);
    });
  });

  test('is not made of what has no origin, or over one that could be written', async () => {
    await hosted(async (hosts) => {
      const {maker} = hosts;
      makeSmallChain(hosts);
      expect(maker.try('create', '-i', 'seed').stderr).toContain(
        'error (VmHasNoOrigin): cannot create an incremental image: vm "seed" has no origin',
      );
      writeFileSync(maker.machine('step1/.wh.file'), '');
      expect(maker.try('create', '-i', 'step1', 'name=x', 'version=1').stderr).toContain(
        'error (NotSupported): "./.wh.file" cannot be in an incremental image',
      );
      expect(
        maker.try('create', '-i', '--max-origin-depth', '2', 'step1', 'name=x', 'version=1').stderr,
      ).toContain('error (NotSupported)');
      const {execFileSync} = await import('node:child_process');
      execFileSync('chattr', ['-i', maker.machine(uuids[0] ?? '')]);
      expect(maker.try('create', '-i', 'step1', 'name=x', 'version=1').stderr).toContain(
        `error (OriginHasNoFinalSnapshot): cannot create an incremental image: origin image "${uuids[0]}" has no "@final" snapshot`,
      );
      expect(readdirSync(maker.root).filter((name) => name.startsWith('x-1'))).toEqual([]);
    });
  });
});
