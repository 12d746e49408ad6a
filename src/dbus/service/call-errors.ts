/** The errors that calls are answered with, as sd-bus makes them. */
import {constants} from 'node:os';
import {BusError, busErrorNames} from '../bus-error.ts';

export function invalidArguments(message: string): BusError {
  return new BusError(busErrorNames.invalidArgs, message);
}

type ErrnoName = keyof typeof constants.errno;

/** The errno values that D-Bus has names of its own for (spec/import1-dbus.md §6). */
const namedErrors: Partial<Record<ErrnoName, string>> = {
  EINVAL: 'InvalidArgs',
  ENOENT: 'FileNotFound',
  EEXIST: 'FileExists',
  ENOMEM: 'NoMemory',
  EACCES: 'AccessDenied',
  EIO: 'IOError',
  EOPNOTSUPP: 'NotSupported',
  EADDRNOTAVAIL: 'BadAddress',
  ENOBUFS: 'LimitsExceeded',
  ETIMEDOUT: 'Timeout',
};

/** What strerror(3) says. */
const texts: Partial<Record<ErrnoName | 'EREMOTEIO', string>> = {
  E2BIG: 'Argument list too long',
  EACCES: 'Permission denied',
  EAGAIN: 'Resource temporarily unavailable',
  EBADF: 'Bad file descriptor',
  EINVAL: 'Invalid argument',
  EIO: 'Input/output error',
  EMFILE: 'Too many open files',
  ENFILE: 'Too many open files in system',
  ENOENT: 'No such file or directory',
  ENOMEM: 'Cannot allocate memory',
  ENOSPC: 'No space left on device',
  ENOTDIR: 'Not a directory',
  EOPNOTSUPP: 'Operation not supported',
  EPERM: 'Operation not permitted',
  EREMOTEIO: 'Remote I/O error',
};

/** As sd-bus answers with an errno; `context` comes before the text. */
export function errnoError(errno: ErrnoName | 'EREMOTEIO', context = ''): BusError {
  const named = errno === 'EREMOTEIO' ? undefined : namedErrors[errno];
  const name = named === undefined ? `System.Error.${errno}` : `org.freedesktop.DBus.Error.${named}`;
  return new BusError(name, `${context}${texts[errno] ?? errno}`);
}

/** The answer for whatever a handler threw. */
export function asBusError(error: unknown): BusError {
  if (error instanceof BusError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code in constants.errno) return errnoError(code as ErrnoName);
  return new BusError(
    'org.freedesktop.DBus.Error.Failed',
    error instanceof Error ? error.message : String(error),
  );
}
