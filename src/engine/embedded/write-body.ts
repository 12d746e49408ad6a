/** What a file of an archive holds, and why a device may not be made. */
import {ftruncateSync} from 'node:fs';
import {ImgctlError} from '../../errors.ts';
import type {DataRun} from '../../formats/sparse.ts';
import {EarlyWriting} from '../../sys/contents.ts';
import {writeFully} from '../../sys/copy-file.ts';

/** Writes the contents of a new file of that size; what lies between the runs stays a hole. */
export async function writeBody(fd: number, runs: AsyncIterable<DataRun>, size: number): Promise<void> {
  const early = new EarlyWriting(fd);
  let end = 0;
  for await (const run of runs) {
    writeFully(fd, run.bytes, run.offset);
    end = run.offset + run.bytes.length;
    early.reached(end);
  }
  if (end !== size) ftruncateSync(fd, size);
}

export function devicesForbidden(path: Buffer, cause: unknown): ImgctlError {
  return new ImgctlError('FileSystem', `Cannot make the device node ${JSON.stringify(path.toString())}`, {
    cause,
    hint: 'The service or container this runs in forbids device nodes (PrivateDevices=, DevicePolicy=)',
  });
}
