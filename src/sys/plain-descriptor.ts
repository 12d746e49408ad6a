/** Descriptors for programs that take only plain ones: without O_NONBLOCK, O_APPEND and the like. */
import {closeSync, constants, fstatSync, openSync} from 'node:fs';
import {moveTo} from './contents.ts';
import {descriptorFlags} from './descriptors.ts';

/**
 * A second opening, for writing, of what `fd` is open for, without flags: of a file at the place where `fd` would write,
 * of a pipe at its end. Undefined when `fd` is plain itself, or nothing that can be opened by name, as sockets are. The
 * caller closes it.
 */
export function plainOutput(fd: number): number | undefined {
  const {others, position} = descriptorFlags(fd);
  const stats = fstatSync(fd);
  if (others === 0 || !(stats.isFile() || stats.isFIFO())) return undefined;
  const plain = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY);
  try {
    if (stats.isFile()) moveTo(plain, others & constants.O_APPEND ? stats.size : position);
    return plain;
  } catch (error) {
    closeSync(plain);
    throw error;
  }
}
