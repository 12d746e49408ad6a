/** Descriptors for programs that take only plain ones: without O_NONBLOCK, O_APPEND and the like. */
import {closeSync, constants, fstatSync, openSync, readFileSync} from 'node:fs';
import {moveTo, positionOf} from './contents.ts';

/** Access mode, O_NOFOLLOW, O_LARGEFILE, O_CLOEXEC. */
const accepted = 0o3 | constants.O_NOFOLLOW | 0o100000 | 0o2000000;

/**
 * A second opening, for writing, of what `fd` is open for, without flags: of a file at the place where `fd` would write,
 * of a pipe at its end. Undefined when `fd` is plain itself, or nothing that can be opened by name, as sockets are. The
 * caller closes it.
 */
export function plainOutput(fd: number): number | undefined {
  const flags = flagsOf(fd);
  const stats = fstatSync(fd);
  if ((flags & ~accepted) === 0 || !(stats.isFile() || stats.isFIFO())) return undefined;
  const plain = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY);
  try {
    if (stats.isFile()) moveTo(plain, flags & constants.O_APPEND ? stats.size : positionOf(fd));
    return plain;
  } catch (error) {
    closeSync(plain);
    throw error;
  }
}

/** proc(5), fdinfo: octal. */
function flagsOf(fd: number): number {
  const [, octal = '0'] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')) ?? [];
  return Number.parseInt(octal, 8);
}
