/** Reading a manifest from a path, bounded. */

import {open} from 'node:fs/promises';
import {type ErrorCode, errnoOf, ImgctlError} from '../errors.ts';
import {maxManifestBytes} from '../manifest/parse.ts';

/** One more byte than the limit is read, so that `parseManifest` can tell a file that is too large. */
export async function readManifestFile(
  file: string,
  codeIfMissing: ErrorCode,
  textIfMissing: string,
): Promise<string> {
  let handle: Awaited<ReturnType<typeof open>> | undefined;
  try {
    handle = await open(file, 'r');
    const buffer = Buffer.alloc(maxManifestBytes + 1);
    let filled = 0;
    // A pipe gives what is in it, not what is asked for.
    for (let bytesRead = -1; bytesRead !== 0 && filled < buffer.length; filled += bytesRead)
      ({bytesRead} = await handle.read(buffer, filled, buffer.length - filled, null));
    return buffer.toString('utf8', 0, filled);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw new ImgctlError(codeIfMissing, textIfMissing);
    const reason = error instanceof Error ? error.message : String(error);
    throw new ImgctlError('FileSystem', `cannot read manifest "${file}": ${reason}`, {cause: error});
  } finally {
    await handle?.close();
  }
}
