/** A new ext4 file system for every run: what one run leaves behind cannot help or hinder the next. */
import {execFileSync} from 'node:child_process';
import {mkdirSync, rmSync, truncateSync, writeFileSync} from 'node:fs';
import path from 'node:path';

const sizeBytes = 12 * 1024 ** 3;

export interface Target {
  /** Where it is mounted. */
  directory: string;
  /** The class directory of machines in it. */
  machines: string;
  /** Writes what was put there to the disk, down to the file below: a run that follows does not pay for it. */
  sync(): void;
  remove(): void;
}

export function makeTarget(scratch: string): Target {
  const disk = path.join(scratch, 'target.ext4');
  const directory = path.join(scratch, 'target');
  writeFileSync(disk, '');
  truncateSync(disk, sizeBytes);
  // Tables made now, not by a kernel thread while the run is timed.
  execFileSync('mkfs.ext4', [
    '-q',
    '-E',
    'lazy_itable_init=0,lazy_journal_init=0,nodiscard',
    '-N',
    '200000',
    disk,
  ]);
  mkdirSync(directory, {recursive: true});
  execFileSync('mount', ['-o', 'loop', disk, directory]);
  const machines = path.join(directory, 'var/lib/machines');
  mkdirSync(machines, {recursive: true, mode: 0o700});
  return {
    directory,
    machines,
    sync() {
      execFileSync('sync', ['-f', directory]);
      execFileSync('sync', [disk]);
    },
    remove() {
      execFileSync('umount', [directory]);
      rmSync(disk);
    },
  };
}

/** Into memory, where it may not have stayed since the last run: who comes first would pay for the disk. */
export function readIntoMemory(file: string): void {
  execFileSync('cat', [file], {stdio: ['ignore', 'ignore', 'inherit']});
}

/** The target's machines as a tree of the oracle's sees them. */
export function bindInto(tree: string, target: Target): () => void {
  const inside = path.join(tree, 'var/lib/machines');
  execFileSync('mount', ['--bind', target.machines, inside]);
  return () => execFileSync('umount', [inside]);
}
