/** Calls on the contents of open files. */
import {constants} from 'node:os';
import {checked, native, SystemError} from './native.ts';

const SEEK_SET = 0;
const SEEK_CUR = 1;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

const cannotReflink = new Set([
  constants.errno.EOPNOTSUPP,
  constants.errno.EXDEV,
  constants.errno.EINVAL,
  constants.errno.ENOTTY,
  constants.errno.ENOSYS,
  constants.errno.EPERM,
  constants.errno.ETXTBSY,
]);

/** Makes `target` share all blocks of `source`; false where the file system or these files cannot. */
export function reflink(source: number, target: number): boolean {
  const result = native().ficlone(target, source);
  if (cannotReflink.has(-result)) return false;
  checked(result, 'ioctl FICLONE');
  return true;
}

export interface DataRange {
  start: number;
  end: number;
}

/** The next range at or after `from` that holds data; undefined when only a hole is left. */
export function findData(fd: number, from: number, size: number): DataRange | undefined {
  const start = native().lseek(fd, from, SEEK_DATA);
  if (start === -constants.errno.ENXIO || from >= size) return undefined;
  // A file system without holes says so; then everything is data.
  if (start === -constants.errno.EINVAL || start === -constants.errno.EOPNOTSUPP)
    return {start: from, end: size};
  checked(start, 'lseek');
  const end = checked(native().lseek(fd, start, SEEK_HOLE), 'lseek');
  return start >= size ? undefined : {start, end: Math.min(end, size)};
}

/** Frees the blocks of a range; the size stays. */
export function punchHole(fd: number, offset: number, length: number): void {
  checked(native().punchHole(fd, offset, length), 'fallocate');
}

/** Copies inside the kernel and returns how much; undefined where that is not possible between these files. */
export function copyRange(
  source: number,
  from: number,
  target: number,
  to: number,
  length: number,
): number | undefined {
  const result = native().copyFileRange(source, from, target, to, length);
  if (cannotReflink.has(-result)) return undefined;
  if (result < 0) throw new SystemError(-result, 'copy_file_range');
  return result;
}

/** Waits until a pipe or socket that refused bytes (EAGAIN) takes some, or its other end is gone. */
export function waitUntilWritable(fd: number): void {
  checked(native().pollOut(fd, -1), 'poll');
}

/** Where the next read or write of a file begins. */
export function positionOf(fd: number): number {
  return checked(native().lseek(fd, 0, SEEK_CUR), 'lseek');
}

export function moveTo(fd: number, position: number): void {
  checked(native().lseek(fd, position, SEEK_SET), 'lseek');
}

/** Writes everything of the file system that holds `fd` to the disk. Can block for long. */
export function syncFileSystem(fd: number): void {
  checked(native().syncfs(fd), 'syncfs');
}

/** The same on another thread; `fd` stays open until then. */
export async function syncFileSystemBeside(fd: number): Promise<void> {
  checked(await native().syncfsBeside(fd), 'syncfs');
}

/** Writes bytes to their place; blocks of 4 KiB of the file that are zeros are left out, and stay the holes they are. */
export function writeSparse(fd: number, bytes: Buffer, offset: number): void {
  checked(native().writeSparse(fd, bytes, offset), 'pwrite');
}

/** The same on another thread, where bytes and descriptor stay as they are meanwhile; the file then reaches to their end. */
export async function writeSparseBeside(fd: number, bytes: Buffer, offset: number): Promise<void> {
  checked(await native().writeSparseBeside(fd, bytes, offset), 'pwrite');
}

/** Of 32, 64 and 128 MiB a disk of 1 GiB in zstd took 1.26, 1.22 and 1.44 s; where it only began to write early, 1.65. */
const writingStepBytes = 64 * 1024 * 1024;

/**
 * Keeps the disk busy while a file is made: writes what is there of it after every 64 MiB, to the last cache. Otherwise all
 * of it waits for the sync at the end, and only then does the disk begin. Tell it of every write, in order.
 */
export class EarlyWriting {
  readonly #fd: number;
  #begun = 0;
  #isRunning = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Everything before `position` has been written. */
  reached(position: number): void {
    if (this.#isRunning || position - this.#begun < writingStepBytes) return;
    this.#isRunning = true;
    this.#begun = position;
    // Nobody waits for it: what goes wrong is told by the sync at the end.
    void native()
      .writeEarly(this.#fd)
      .finally(() => {
        this.#isRunning = false;
      });
  }
}

/** Of none, 32, 64 and 128 MiB, a tree of 360 MB took 3.9, 3.0, 3.3 and 4.2 s on a busy disk. */
const syncingStepBytes = 32 * 1024 * 1024;

/** The same for a tree of many files: begins to write all of its file system every 32 MiB. */
export class EarlySyncing {
  readonly #fd: number;
  #bytes = 0;
  #running: Promise<unknown> | undefined;

  /** `fd` stays open until `settle`. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  wrote(bytes: number): void {
    this.#bytes += bytes;
    if (this.#running || this.#bytes < syncingStepBytes) return;
    this.#bytes = 0;
    // What goes wrong is told by the sync at the end.
    this.#running = native()
      .syncEarly(this.#fd)
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Resolves when nothing is running. */
  async settle(): Promise<void> {
    await this.#running;
  }
}
