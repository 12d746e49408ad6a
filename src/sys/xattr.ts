/** Extended attributes. A path is never followed when it is a symbolic link; values are bytes. */
import {constants} from 'node:os';
import {checked, native, type PathBytes} from './native.ts';

type File = number | PathBytes;

export function setXattr(file: File, name: string, value: Buffer): void {
  checked(native().setXattr(file, name, value), 'setxattr', subject(file, name));
}

/** Nothing there is fine. */
export function removeXattr(file: File, name: string): void {
  const result = native().removeXattr(file, name);
  if (result !== -constants.errno.ENODATA) checked(result, 'removexattr', subject(file, name));
}

/** The value, or undefined where there is none. */
export function findXattr(file: File, name: string): Buffer | undefined {
  const result = native().getXattr(file, name);
  if (result === -constants.errno.ENODATA || result === -constants.errno.EOPNOTSUPP) return undefined;
  return checked<Buffer>(result as Buffer, 'getxattr', subject(file, name));
}

/** Names of all attributes but the second ones of access lists on xfs; none where the file system has none. */
export function listXattrs(file: File): string[] {
  const result = native().listXattrs(file);
  if (result === -constants.errno.EOPNOTSUPP) return [];
  const names = checked<Buffer>(result as Buffer, 'listxattr', typeof file === 'number' ? undefined : file);
  return names
    .toString()
    .split('\0')
    .filter((name) => name !== '' && !name.startsWith('trusted.SGI_'));
}

function subject(file: File, name: string): string {
  return typeof file === 'number' ? name : `${file} ${name}`;
}
