import {constants, openSync, unlinkSync} from 'node:fs';
import path from 'node:path';
import {stagedSide} from '../../sys/staging.ts';

const name = stagedSide('.unnamed');

/** A file without a name in a staging directory, the working directory unless another is given; gone with its descriptor. */
export function openUnnamed(directory = ''): number {
  const file = path.join(directory, name);
  const fd = openSync(file, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600);
  unlinkSync(file);
  return fd;
}
