import {constants, openSync, unlinkSync} from 'node:fs';
import {stagedSide} from '../../sys/staging.ts';

const name = stagedSide('.unnamed');

/** A file without a name in the working directory, a staging directory; gone with its descriptor. */
export function openUnnamed(): number {
  const fd = openSync(name, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600);
  unlinkSync(name);
  return fd;
}
