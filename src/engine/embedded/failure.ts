import {type ErrorCode, errnoOf, ImgctlError} from '../../errors.ts';

const noSpace = new Set(['ENOSPC', 'EDQUOT']);

/** What the user sees of a failure: an ImgctlError as it is, anything else under a code and with what was tried. */
export function asImgctlError(error: unknown, attempted: string, signal?: AbortSignal): ImgctlError {
  if (signal?.aborted) return new ImgctlError('Interrupted', `${attempted} was interrupted`, {cause: error});
  if (error instanceof ImgctlError) return error;
  const code = errnoOf(error);
  const reason = error instanceof Error ? error.message : String(error);
  if (code !== undefined && noSpace.has(code)) {
    return new ImgctlError('NoSpace', `${attempted} failed: there is no space left`, {
      cause: error,
      retryable: true,
    });
  }
  const kind: ErrorCode = code === undefined ? 'InternalError' : 'FileSystem';
  return new ImgctlError(kind, `${attempted} failed: ${reason}`, {cause: error});
}

export function diskTooLarge(sizeBytes: number, maxBytes: number): ImgctlError {
  return new ImgctlError(
    'LimitExceeded',
    `The image has ${sizeBytes} bytes, more than the limit of ${maxBytes}`,
  );
}
