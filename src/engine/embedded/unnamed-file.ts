import {constants, openSync, unlinkSync} from 'node:fs';
import {stagedRaw} from '../../sys/staging.ts';

/** A file without a name in the working directory, a staging directory; gone with its descriptor. */
export function openUnnamed(): number {
  const fd = openSync(stagedRaw, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600);
  unlinkSync(stagedRaw);
  return fd;
}
