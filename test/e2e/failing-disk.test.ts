/** A disk that takes bytes and cannot keep them: an error of its own comes late, to whoever syncs, and only once. Needs root. */
import {execFileSync, spawnSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {syncFileSystem} from '../../src/sys/contents.ts';
import {native} from '../../src/sys/native.ts';
import {withFileSystem} from '../support/loop-fs.ts';
import {World} from '../support/world.ts';

const isRoot = process.geteuid?.() === 0;
let world: World;
beforeEach(async () => {
  world = await new World().start();
});
afterEach(() => world.end());

/** 240 MiB without zeros, which packed are next to nothing. */
function writeLong(file: string): void {
  const block = randomBytes(1 << 20);
  const fd = openSync(file, 'w');
  for (let index = 0; index < 240; index++) writeSync(fd, block);
  closeSync(fd);
}

function packedDisk(): string {
  const disk = path.join(world.directory, 'disk.raw');
  writeLong(disk);
  execFileSync('zstd', ['-q', '-1', '--long=22', '--rm', disk]);
  return `${disk}.zst`;
}

function packedTree(): string {
  const tree = path.join(world.directory, 'tree');
  mkdirSync(tree);
  writeLong(path.join(world.directory, 'long'));
  execFileSync('split', ['-b', '4M', path.join(world.directory, 'long'), path.join(tree, 'part-')]);
  execFileSync('bash', [
    '-c',
    `tar -C '${tree}' -c . | zstd -q -1 --long=22 >'${tree}.tar.zst' && rm -r '${tree}' '${world.directory}/long'`,
  ]);
  return `${tree}.tar.zst`;
}

/** ext4 that believes to have 600 MiB, on 96 MiB of memory; without a journal, whose failure would make all others fail. */
async function onFailingDisk(
  use: (machines: string, grow: () => void) => Promise<void> | void,
): Promise<void> {
  const machines = path.join(world.root, 'var/lib/machines');
  mkdirSync(machines, {recursive: true});
  await withFileSystem('tmpfs', 96, async (mountPoint) => {
    const disk = path.join(mountPoint, 'disk');
    writeFileSync(disk, '');
    truncateSync(disk, 600 << 20);
    execFileSync('mkfs.ext4', ['-q', '-F', '-O', '^has_journal', '-E', 'nodiscard', disk]);
    execFileSync('mount', ['-o', 'loop', disk, machines]);
    try {
      await use(machines, () => execFileSync('mount', ['-o', 'remount,size=800m', mountPoint]));
    } finally {
      spawnSync('umount', ['-l', machines]);
    }
  });
}

for (const [verb, pack] of [
  ['import-raw', packedDisk],
  ['import-tar', packedTree],
] as const)
  test.runIf(isRoot)(
    `${verb} tells that the disk failed, though it failed while nobody waited for it`,
    async () => {
      const file = pack();
      await onFailingDisk((machines) => {
        const refused = world.run([verb, '-m', '-q', file, 'one']);
        expect([refused.status, refused.stderr]).toEqual([
          1,
          expect.stringMatching(/^(Unpacking failed: E(IO|ROFS): |There is not enough space in )/),
        ]);
        expect(readdirSync(machines).filter((name) => !name.startsWith('.'))).toEqual(['lost+found']);
      });
    },
  );

test.runIf(isRoot)('what failed early is told again at the end, though the disk is well again', async () => {
  await onFailingDisk(async (machines, grow) => {
    const file = path.join(machines, 'file');
    writeLong(file);
    const [fd, top] = [openSync(file, 'r+'), openSync(machines, 'r')];
    try {
      expect(await native().writeEarly(fd)).toBeLessThan(0);
      expect(await native().syncEarly(top)).toBeLessThan(0);
      grow();
      expect(() => fsyncSync(fd)).toThrow(/EIO|ENOSPC/);
      expect(() => syncFileSystem(top)).toThrow(/EIO|ENOSPC/);
    } finally {
      closeSync(top);
      closeSync(fd);
    }
  });
});
