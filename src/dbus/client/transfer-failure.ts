/**
 * Why a transfer failed. import1 says only that it did; the reason stands in the log lines of the worker, in systemd's
 * words (spec/engine.md), or in ours when that is the service. The last line that is an error decides, and is shown.
 */
import {type ErrorCode, ImgctlError} from '../../errors.ts';

const errorLevel = 3;

const codeByText: readonly [pattern: RegExp, code: ErrorCode, errno?: string][] = [
  [/already exists( in ".*")?\.?$|: File exists$/, 'ImageAlreadyExists'],
  [/No space left on device|Disk quota exceeded/, 'NoSpace'],
  [/^Image .* not found\.?$/, 'ImageNotInstalled'],
  [/: Is a directory$/, 'InvalidArgument', 'EISDIR'],
  [/: Not a directory$/, 'InvalidArgument', 'ENOTDIR'],
  [/^The qcow2 image is truncated/, 'InvalidArchive', 'EIO'],
  [/qcow2 image: (Input\/output error|Bad message)/i, 'InvalidArchive', 'EIO'],
  [/: Broken pipe$/, 'FileSystem', 'EPIPE'],
  [/^DOWNLOAD INVALID: Checksum/, 'ChecksumError'],
  [/^DOWNLOAD INVALID: |retrieve signature|[Ss]ignature/, 'SignatureNotTrusted'],
  [/checksum/i, 'ChecksumError'],
  [
    /Failed to retrieve|HTTP request to|Transfer failed|[Dd]ownload|Failed to acquire|Connection/,
    'DownloadError',
  ],
  [/decode|decompress|Bad message|[Uu]ncompress/, 'UncompressionError'],
  [/[Tt]ar |[Uu]npack|archive|QCOW2|Input\/output error/, 'InvalidArchive'],
  [/Operation not supported/, 'NotSupported'],
  [/Permission denied|Operation not permitted/, 'NotAuthorized'],
];
/** Lines that end every failure and tell nothing. */
const empty = /^(Failed to (run|execute) .*|Transfer process (failed|terminated) .*)$/;

export type LogLine = readonly [level: number, line: string];

export function transferFailure(attempted: string, lines: readonly LogLine[]): ImgctlError {
  const errors = lines.filter(([level, line]) => level <= errorLevel && !empty.test(line));
  const told = errors.length > 0 ? errors : lines.filter(([, line]) => !empty.test(line)).slice(-1);
  for (const [, line] of told.toReversed()) {
    for (const [pattern, code, errno] of codeByText) {
      if (pattern.test(line)) return failure(attempted, {code, line, ...(errno !== undefined && {errno})});
    }
  }
  return failure(attempted, {code: 'FileSystem', line: told.at(-1)?.[1] ?? 'the service does not say why'});
}

function failure(attempted: string, reason: {code: ErrorCode; line: string; errno?: string}): ImgctlError {
  const {code, line, errno} = reason;
  return new ImgctlError(code, `${attempted} failed: ${line.replace(/\.$/, '')}`, {
    retryable: code === 'NoSpace' || code === 'DownloadError',
    ...(errno !== undefined && {details: {errno}}),
  });
}
