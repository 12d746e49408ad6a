/** What an installed image holds now, read by the child that exports too: it may read everything and write nothing. */
import {closeSync, constants, lstatSync, openSync} from 'node:fs';
import {ImgctlError} from '../../../errors.ts';
import type {ImageStore} from '../../engine.ts';
import {runChild} from '../child-process.ts';
import {asImgctlError} from '../failure.ts';
import type {Sandbox} from '../sandbox.ts';
import type {ExportTask} from './export-task.ts';
import {findImage} from './find-image.ts';

/** `sha256:HEX`; rejects with `ImageNotInstalled` for an image that is not there. */
export async function digestImage(
  {store, name}: {store: ImageStore; name: string},
  {sandbox, signal}: {sandbox: Sandbox; signal: AbortSignal},
): Promise<string> {
  let digest: string | undefined;
  try {
    const image = findImage(store, name);
    const isTree = lstatSync(image).isDirectory();
    const disk = isTree ? undefined : openSync(image, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const task: ExportTask = {
        compression: 'uncompressed',
        digestOnly: true,
        ...(isTree && {directory: image}),
      };
      await runChild({
        name: 'export-child',
        task,
        sandbox,
        wrap: {target: undefined, readable: image, capabilities: isTree ? ['dac_read_search'] : []},
        descriptors: disk === undefined ? {} : {stdin: disk},
        signal,
        onMessage: (message) => {
          if (message.type === 'contents') digest = message.digest;
        },
      });
    } finally {
      if (disk !== undefined) closeSync(disk);
    }
  } catch (error) {
    throw asImgctlError(error, `Reading image "${name}"`, signal);
  }
  if (digest !== undefined) return digest;
  throw new ImgctlError('InternalError', `The export-child did not tell the digest of image "${name}"`);
}
