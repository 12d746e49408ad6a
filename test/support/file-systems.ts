/** File systems of every kind on loop devices, for tests that run as root. */
import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';

export const fileSystemKinds = ['ext4', 'xfs', 'btrfs', 'tmpfs'] as const;
export type FileSystemKind = (typeof fileSystemKinds)[number];

export interface MountedFileSystem {
  /** The mount point. */
  path: string;
  /** Takes it away, whatever is in it. */
  unmount(): void;
}

const options = {ext4: ['-q'], xfs: ['-q'], btrfs: ['-q']};

export function mountFileSystem(kind: FileSystemKind): MountedFileSystem {
  const directory = mkdtempSync(path.join(tmpdir(), `imgctl-${kind}-`));
  const place = path.join(directory, 'mounted');
  const disk = path.join(directory, 'disk');
  mkdirSync(place);
  if (kind === 'tmpfs') {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512M,mode=0755', 'tmpfs', place]);
  } else {
    execFileSync('truncate', ['-s', '512M', disk]);
    execFileSync(`mkfs.${kind}`, [...options[kind], disk]);
    execFileSync('mount', ['-o', 'loop', disk, place]);
  }
  return {
    path: place,
    unmount: () => {
      execFileSync('umount', ['--recursive', '--lazy', place]);
      rmSync(disk, {force: true});
      rmdirSync(place);
      rmdirSync(directory);
    },
  };
}
