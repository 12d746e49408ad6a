import {ImgctlError} from '../../errors.ts';

/** The image contradicts itself or the format; `details.errno` is what importd would say. */
export function invalidQcow2(reason: string, cause?: unknown): ImgctlError {
  return new ImgctlError('InvalidArchive', `The qcow2 image is not valid: ${reason}`, {
    ...(cause === undefined ? {} : {cause}),
    hint: 'The file is damaged; get it again, or look at it with "qemu-img check"',
    details: {format: 'qcow2', errno: 'EBADMSG'},
  });
}

export function truncatedQcow2(what: string): ImgctlError {
  return new ImgctlError('InvalidArchive', `The qcow2 image is truncated: ${what} lies beyond its end`, {
    hint: 'The file is incomplete; get it again',
    details: {format: 'qcow2', errno: 'EIO'},
  });
}

export function unsupportedQcow2(
  what: string,
  hint = 'Convert it with "qemu-img convert" first',
): ImgctlError {
  return new ImgctlError('NotSupported', `The qcow2 image cannot be read: it ${what}`, {
    hint,
    details: {format: 'qcow2', errno: 'EOPNOTSUPP'},
  });
}

export function tooLargeQcow2(what: string): ImgctlError {
  return new ImgctlError('LimitExceeded', `The qcow2 image is refused: ${what}`, {
    details: {format: 'qcow2', errno: 'EFBIG'},
  });
}
