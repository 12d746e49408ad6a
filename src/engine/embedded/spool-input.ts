import {closeSync, constants, createReadStream, fstatSync, openSync, unlinkSync} from 'node:fs';
import {Socket} from 'node:net';
import path from 'node:path';
import type {Readable} from 'node:stream';
import {ImgctlError} from '../../errors.ts';
import {writeFully} from '../../sys/copy-file.ts';
import {stagedRaw} from '../../sys/staging.ts';

/**
 * Copies a pipe, socket or device to its end into a file of a staging directory, which has no name any more when this
 * resolves. The caller closes the returned descriptor, and `fd` after that.
 */
export async function spoolInput(
  fd: number,
  options: {directory: string; maxBytes: number; signal: AbortSignal},
): Promise<number> {
  const {directory, maxBytes, signal} = options;
  const file = path.join(directory, stagedRaw);
  const target = openSync(file, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600);
  const input = openInput(fd);
  const stop = (): void => void input.destroy();
  signal.addEventListener('abort', stop, {once: true});
  try {
    unlinkSync(file);
    signal.throwIfAborted();
    let size = 0;
    for await (const chunk of input as AsyncIterable<Buffer>) {
      if (size + chunk.length > maxBytes) throw tooLong(maxBytes);
      writeFully(target, chunk, size);
      size += chunk.length;
    }
    signal.throwIfAborted();
    return target;
  } catch (error) {
    closeSync(target);
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    input.destroy();
  }
}

/** Pipes and sockets are waited for by the event loop, so that an abort does not wait for the other end. */
function openInput(fd: number): Readable {
  const stats = fstatSync(fd);
  if (!stats.isFIFO() && !stats.isSocket()) return createReadStream(`/proc/self/fd/${fd}`);
  // The stream closes the descriptor it is given; ours stays the caller's.
  const own = openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY | constants.O_NONBLOCK);
  return new Socket({fd: own, readable: true, writable: false});
}

function tooLong(maxBytes: number): ImgctlError {
  return new ImgctlError('LimitExceeded', `The input has more than the limit of ${maxBytes} bytes`, {
    details: {limitBytes: maxBytes},
  });
}
