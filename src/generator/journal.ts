/** Levels of syslog that the generator speaks at. */
export type LogLevel = 'error' | 'warning' | 'info' | 'debug';

/** Takes every line of the generator, in order. */
export type Log = (level: LogLevel, line: string) => void;

/** systemd's logs cut a message there. */
const maxMessageBytes = 2047;

/** The lines of one message as a log gets them: whatever somebody typed, a line break in it makes no empty line. */
export function logLines(message: string): string[] {
  return message
    .slice(0, maxMessageBytes)
    .split(/[\n\r]+/)
    .filter((line) => line !== '');
}

/** The text that goes with an errno, as the C library has it. */
export function errnoText(code: string | undefined): string {
  return errnoTexts[code ?? ''] ?? code ?? 'Input/output error';
}

const errnoTexts: Readonly<Record<string, string>> = {
  EACCES: 'Permission denied',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EEXIST: 'File exists',
  EINVAL: 'Invalid argument',
  EIO: 'Input/output error',
  EISDIR: 'Is a directory',
  ELOOP: 'Too many levels of symbolic links',
  ENAMETOOLONG: 'File name too long',
  ENOBUFS: 'No buffer space available',
  ENODATA: 'No data available',
  ENOENT: 'No such file or directory',
  ENOSPC: 'No space left on device',
  ENOTDIR: 'Not a directory',
  EPERM: 'Operation not permitted',
  EROFS: 'Read-only file system',
};
