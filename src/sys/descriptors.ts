/** Descriptors that somebody passed us, and such that have no name. */
import {constants, fstatSync, openSync, readFileSync, unlinkSync} from 'node:fs';
import path from 'node:path';
import {errnoOf} from '../errors.ts';
import {O_PATH} from './files.ts';
import {checked, native} from './native.ts';
import {randomHex} from './random-hex.ts';

/** Beside the flags, in the kernel's numbers: some that open(2) has and Node's constants lack. */
const O_LARGEFILE = process.arch === 'arm64' ? 0o400000 : 0o100000;
const O_CLOEXEC = 0o2000000;
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
const accessMode = 3;

export interface DescriptorFlags {
  /** Names nothing that can be read or written. */
  isPath: boolean;
  canRead: boolean;
  canWrite: boolean;
  /** The flags without access mode and O_LARGEFILE. */
  others: number;
  /** Where the next byte is read or written. */
  position: number;
}

/** Throws a system error for a descriptor that is not open. */
export function descriptorFlags(fd: number): DescriptorFlags {
  fstatSync(fd);
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
  const flags = Number.parseInt(/^flags:\s*([0-7]+)/m.exec(text)?.[1] ?? '0', 8);
  const access = flags & accessMode;
  const isPath = (flags & O_PATH) !== 0;
  return {
    isPath,
    canRead: !isPath && access !== constants.O_WRONLY,
    canWrite: !isPath && access !== constants.O_RDONLY,
    // Whether it is closed on exec belongs to our copy.
    others: flags & ~(accessMode | O_LARGEFILE | O_CLOEXEC),
    position: Number(/^pos:\s*([0-9]+)/m.exec(text)?.[1] ?? 0),
  };
}

/** Another descriptor of the same open file, closed on exec. */
export function duplicate(fd: number): number {
  return checked(native().duplicate(fd), 'dup');
}

/** A new file without a name in a directory: it is gone when it is closed. */
export function openNameless(directory: string): number {
  try {
    return openSync(directory, constants.O_RDWR | O_TMPFILE, 0o600);
  } catch (error) {
    if (!['EOPNOTSUPP', 'EISDIR', 'EINVAL'].includes(errnoOf(error) ?? '')) throw error;
  }
  const file = path.join(directory, `.#${randomHex(8)}`);
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  unlinkSync(file);
  return fd;
}
