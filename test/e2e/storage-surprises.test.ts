/** What a disk and a clock may do to a host: a quota, directories that become links, time that jumps. */
import {execFileSync, spawnSync} from 'node:child_process';
import {createHash, randomBytes} from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {gzipSync} from 'node:zlib';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {missingFor, withFileSystem} from '../support/loop-fs.ts';
import {slowServer} from '../support/slow-server.ts';
import {type Outcome, World} from '../support/world.ts';

const isRoot = process.geteuid?.() === 0;
let world: World;
beforeEach(async () => {
  world = await new World().start();
});
afterEach(() => world.end());

function bytesOf(mebibytes: number): Buffer {
  return randomBytes(mebibytes << 20);
}

function expectClean(installed: readonly string[]): void {
  expect(world.installed().sort()).toEqual([...installed].sort());
  expect(world.machines()).toEqual(installed.map((uuid) => `${uuid}.raw`).sort());
}

function publishCompressed(): {uuid: string} {
  const bytes = gzipSync(bytesOf(8));
  const sha1 = createHash('sha1').update(bytes).digest('hex');
  return world.publish(bytes, {files: [{sha1, size: bytes.length, compression: 'gzip'}]});
}

test.runIf(isRoot)('a disk that is full in the middle of a compressed image is no space', () => {
  const {uuid} = publishCompressed();
  const place = path.join(world.root, 'var');
  mkdirSync(place, {recursive: true});
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12M', 'none', place]);
  try {
    const refused = world.run(['import', '-q', uuid]);
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('error (NoSpace): ')]);
    expectClean([]);
  } finally {
    execFileSync('umount', ['-l', place]);
  }
});

const missing = missingFor('btrfs');
test.skipIf(missing)(
  `a quota that is used up is no space, and nothing is lost${missing ? ` (no ${missing})` : ''}`,
  async () => {
    const {uuid} = publishCompressed();
    await withFileSystem('btrfs', 400, async (mountPoint) => {
      const quota = path.join(mountPoint, 'var');
      const btrfs = (...args: string[]): void =>
        void execFileSync('btrfs', args, {stdio: ['ignore', 'ignore', 'pipe']});
      btrfs('quota', 'enable', mountPoint);
      btrfs('subvolume', 'create', quota);
      btrfs('qgroup', 'limit', '12M', quota);
      const place = path.join(world.root, 'var');
      mkdirSync(place, {recursive: true});
      execFileSync('mount', ['--bind', quota, place]);
      try {
        // The file system has room, so only the writing finds out.
        const refused = world.run(['import', '-q', uuid]);
        expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('error (NoSpace): ')]);
        expectClean([]);
        btrfs('qgroup', 'limit', 'none', quota);
        expect(world.run(['import', '-q', uuid])).toMatchObject({status: 0, stderr: ''});
        expectClean([uuid]);
      } finally {
        spawnSync('chattr', ['-R', '-f', '-i', place]);
        execFileSync('umount', [place]);
      }
    });
  },
);

/** Whatever is left of the room. */
function fill(file: string): void {
  spawnSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=4k'], {stdio: 'ignore'});
  spawnSync('sync', ['-f', file]);
}

function publishTree(): {uuid: string} {
  const tree = path.join(world.directory, 'tree');
  mkdirSync(path.join(tree, 'etc'), {recursive: true});
  writeFileSync(path.join(tree, 'etc/os-release'), 'ID=quota\n');
  writeFileSync(path.join(tree, 'data'), bytesOf(3));
  const bytes = execFileSync('tar', ['-C', tree, '-c', '.'], {maxBuffer: 1 << 25});
  return world.publish(bytes);
}

test.runIf(isRoot)('an image can be deleted where not one more file has room', () => {
  const place = path.join(world.root, 'var');
  mkdirSync(place, {recursive: true});
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64M', 'none', place]);
  try {
    const [disk, tree] = [world.publish(bytesOf(1)).uuid, publishTree().uuid];
    for (const uuid of [disk, tree])
      expect(world.run(['import', '-q', uuid])).toMatchObject({status: 0, stderr: ''});
    const inodes = execFileSync('stat', ['-f', '-c', '%c %d', place], {encoding: 'utf8'}).split(' ');
    const used = Number(inodes[0]) - Number(inodes[1]);
    execFileSync('mount', ['-o', `remount,nr_inodes=${used}`, place]);
    expect(() => mkdirSync(path.join(place, 'one-more'))).toThrow('ENOSPC');
    for (const uuid of [disk, tree]) expect(world.run(['delete', uuid])).toMatchObject({status: 0});
    execFileSync('mount', ['-o', 'remount,nr_inodes=10000', place]);
    expectClean([]);
  } finally {
    spawnSync('chattr', ['-R', '-f', '-i', place]);
    execFileSync('umount', ['-l', place]);
  }
});

test.skipIf(missing)('an image can be deleted where the quota is used up', async () => {
  const [disk, tree] = [world.publish(bytesOf(2)).uuid, publishTree().uuid];
  await withFileSystem('btrfs', 400, async (mountPoint) => {
    const btrfs = (...args: string[]): string => execFileSync('btrfs', args, {encoding: 'utf8'});
    const place = path.join(world.root, 'var');
    mkdirSync(place, {recursive: true});
    btrfs('quota', 'enable', mountPoint);
    btrfs('subvolume', 'create', path.join(mountPoint, 'var'));
    execFileSync('mount', ['--bind', path.join(mountPoint, 'var'), place]);
    try {
      for (const uuid of [disk, tree])
        expect(world.run(['import', '-q', uuid])).toMatchObject({status: 0, stderr: ''});
      // One account for all, as for somebody who pays for it.
      btrfs('qgroup', 'create', '1/0', mountPoint);
      for (const [, id = ''] of btrfs('subvolume', 'list', mountPoint).matchAll(/^ID (\d+)/gm))
        btrfs('qgroup', 'assign', `0/${id}`, '1/0', mountPoint);
      btrfs('quota', 'rescan', '-w', mountPoint);
      btrfs('qgroup', 'limit', '16M', '1/0', mountPoint);
      for (const uuid of [disk, tree]) {
        fill(path.join(place, 'fill'));
        expect(() => mkdirSync(path.join(place, 'one-more'))).toThrow();
        expect(world.run(['delete', uuid])).toMatchObject({status: 0});
      }
      btrfs('qgroup', 'limit', 'none', '1/0', mountPoint);
      expectClean([]);
    } finally {
      spawnSync('chattr', ['-R', '-f', '-i', place]);
      execFileSync('umount', [place]);
    }
  });
});

describe.runIf(isRoot)('a directory that becomes a link', () => {
  /** Moves it away while a download runs, and puts a link to another place there. */
  async function swapped(directory: string): Promise<{outcome: Outcome; uuid: string; elsewhere: string}> {
    const bytes = bytesOf(4);
    const {uuid} = world.publish(bytes);
    const slow = await slowServer(world.url, {bytesPerSecond: 6 << 20});
    const elsewhere = path.join(world.directory, 'elsewhere');
    mkdirSync(elsewhere);
    try {
      world.useSources([slow.url]);
      const place = path.join(world.root, directory);
      mkdirSync(place, {recursive: true});
      const outcome = await world.runWhile(['import', '-q', uuid], async (child) => {
        while (world.partialBytes() === 0 && child.exitCode === null) await sleep(5);
        renameSync(place, `${place}.moved`);
        symlinkSync(elsewhere, place);
      });
      return {outcome, uuid, elsewhere};
    } finally {
      await slow.close();
      world.useSources([world.url]);
    }
  }

  test.each(['var/lib/machines', 'var/cache/imgctl'])(
    'while an import runs: %s; it ends, and the next one ends well',
    async (directory) => {
      const {outcome, uuid, elsewhere} = await swapped(directory);
      expect(outcome.signal).toBeNull();
      expect(outcome.stderr).not.toContain('InternalError');
      if (outcome.status !== 0) expect(outcome.stderr).toMatch(/error \(\w+\): /);
      const again = world.run(['import', '-q', uuid]);
      expect([again.status, again.stderr]).toEqual([0, '']);
      expect(world.run(['verify', uuid])).toMatchObject({status: 0});
      expect(world.run(['doctor', '--repair']).status).toBe(0);
      expectClean([uuid]);
      expect(readdirSync(elsewhere).filter((name) => name.startsWith('.#'))).toEqual([]);
    },
  );
});

describe('a clock that jumps', () => {
  const years = (count: number): string => String(count * 365 * 86_400);
  let library: string;
  beforeEach(() => {
    library = path.join(world.directory, 'clock.so');
    const source = path.join(import.meta.dirname, '../support/clock.c');
    execFileSync(process.env.CC ?? 'cc', ['-shared', '-fPIC', '-o', library, source, '-ldl']);
  });

  function runAt(shift: string, args: readonly string[]): Outcome {
    Object.assign(world.env, {LD_PRELOAD: library, CLOCK_SHIFT: shift});
    try {
      return world.run(args);
    } finally {
      delete world.env.LD_PRELOAD;
      delete world.env.CLOCK_SHIFT;
    }
  }

  test.each([
    ['back', years(-45)],
    ['far ahead', years(60)],
  ])('%s changes nothing about what is installed, cached and locked', (_name, shift) => {
    const bytes = bytesOf(1);
    const {uuid} = world.publish(bytes);
    const day = runAt(shift, ['log-nothing']);
    expect(day.status).toBe(2);
    expect(runAt(shift, ['import', '-q', uuid])).toMatchObject({status: 0, stderr: ''});
    const record = JSON.parse(
      readFileSync(path.join(world.root, `var/lib/imgctl/records/${uuid}.json`), 'utf8'),
    );
    // The clock was another one indeed.
    expect(Math.abs(Date.parse(record.installedAt) - Date.now())).toBeGreaterThan(40 * 365 * 86_400_000);
    expect(world.installed()).toEqual([uuid]);
    expect(world.run(['verify', uuid]).status).toBe(0);
    expect(runAt(shift, ['doctor', '--repair']).status).toBe(0);
    // An image that is used stays, however old it seems to be.
    expect(world.run(['clone', uuid, 'web1']).status).toBe(0);
    expect(runAt(shift, ['vacuum', '-f', '--older-than', '1d']).status).toBe(0);
    expectCloned(uuid);
    expect(runAt(shift, ['delete', uuid]).stderr).toContain('ImageHasDependentClones');
  });

  function expectCloned(uuid: string): void {
    expect(world.machines()).toEqual([`${uuid}.raw`, 'web1.raw'].sort());
  }

  test('a download that was begun at another time is gone on with, and pruned by the age it has', async () => {
    const {uuid, sizeBytes} = world.publish(bytesOf(6));
    const slow = await slowServer(world.url, {bytesPerSecond: 4 << 20});
    world.useSources([slow.url]);
    await world.runWhile(['import', '-q', uuid], async (child) => {
      while (world.partialBytes() < 1 << 20) await sleep(10);
      child.kill('SIGKILL');
    });
    const kept = world.partialBytes();
    expect(runAt(years(-45), ['cache', 'prune', '-n']).status).toBe(0);
    slow.setSpeed(Number.POSITIVE_INFINITY);
    Object.assign(world.env, {LD_PRELOAD: library, CLOCK_SHIFT: years(-45)});
    const resumed = await world.runWhile(['import', '-q', uuid], async () => undefined);
    delete world.env.LD_PRELOAD;
    delete world.env.CLOCK_SHIFT;
    await slow.close();
    expect(resumed).toMatchObject({status: 0});
    expect(slow.ranges.at(-1)).toBe(`bytes=${kept}-`);
    expect(world.image(uuid).length).toBe(sizeBytes);
    expect(existsSync(path.join(world.root, 'run/imgctl/locks'))).toBe(true);
  });
});
