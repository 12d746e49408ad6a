/** A file that others see only when it is whole. */
import {closeSync, constants, fchmodSync, fsyncSync, ftruncateSync, openSync, renameSync} from 'node:fs';
import path from 'node:path';
import {ImgctlError, isNoSpace} from '../errors.ts';
import {tryLock} from './lock.ts';

/**
 * Makes `file` what `write` writes to the descriptor it is given, which is at position 0 and must stay open. The bytes
 * go to `FILE.part` beside it, are synced and renamed into place; after any failure (also an abort that makes `write`
 * reject) the temporary file is gone and an older `file` is as it was. Two processes that write one file do not mix:
 * the second fails with `FileSystem`. A failure of the system is one that names the file. Only for names of regular files, there or not: a pipe or device has nothing to
 * rename and is opened by the caller.
 */
export async function writeOutputFile<Result>(
  file: string,
  write: (fd: number) => Promise<Result>,
): Promise<Result> {
  try {
    return await writeWhole(file, write);
  } catch (error) {
    if (error instanceof ImgctlError || !(error instanceof Error && 'syscall' in error)) throw error;
    const code = isNoSpace(error) ? 'NoSpace' : 'FileSystem';
    throw new ImgctlError(code, `cannot write "${file}": ${error.message}`, {cause: error});
  }
}

async function writeWhole<Result>(file: string, write: (fd: number) => Promise<Result>): Promise<Result> {
  const part = `${file}.part`;
  const lock = tryLock(part);
  if (!lock) throw new ImgctlError('FileSystem', `"${part}" is being written by another process`);
  try {
    ftruncateSync(lock.fd); // what a killed process left
    fchmodSync(lock.fd, 0o666 & ~process.umask());
    const result = await write(lock.fd);
    fsyncSync(lock.fd);
    renameSync(part, file);
    syncDirectory(path.dirname(file));
    return result;
  } finally {
    // After the rename the lock's name is gone or somebody else's, and nothing is removed.
    lock.release({remove: true});
  }
}

function syncDirectory(directory: string): void {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
