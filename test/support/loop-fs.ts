/** File systems on loop devices, for tests that need one of a kind or a full one. Needs root. */
import {execFileSync, spawnSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';

export type FileSystemKind = 'ext4' | 'btrfs' | 'xfs' | 'tmpfs';

const makers: Record<Exclude<FileSystemKind, 'tmpfs'>, string[]> = {
  ext4: ['mkfs.ext4', '-q', '-F'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
  xfs: ['mkfs.xfs', '-q', '-f'],
};

/** Undefined where it can be made, else what is missing. */
export function missingFor(kind: FileSystemKind): string | undefined {
  if (process.geteuid?.() !== 0) return 'root';
  const command = kind === 'tmpfs' ? 'mount' : (makers[kind][0] ?? '');
  return spawnSync(command, ['-V']).error ? command : undefined;
}

/** Calls `use` with the mount point of a fresh file system and takes it away again, whatever happens. */
export async function withFileSystem(
  kind: FileSystemKind,
  sizeMiB: number,
  use: (mountPoint: string) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(path.join(tmpdir(), `imgctl-${kind}-`));
  const mountPoint = path.join(directory, 'mnt');
  mkdirSync(mountPoint);
  try {
    if (kind === 'tmpfs') {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'none', mountPoint]);
    } else {
      const image = path.join(directory, 'image');
      writeFileSync(image, '');
      truncateSync(image, sizeMiB * 1024 * 1024);
      const [command = '', ...options] = makers[kind];
      execFileSync(command, [...options, image], {stdio: ['ignore', 'ignore', 'pipe']});
      execFileSync('mount', ['-o', 'loop', image, mountPoint]);
    }
    await use(mountPoint);
  } finally {
    spawnSync('umount', ['-l', mountPoint]);
    rmSync(directory, {recursive: true, force: true});
  }
}
