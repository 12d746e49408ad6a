import {ImgctlError} from '../../errors.ts';

/** The stream contradicts itself or the format. */
export function invalidStream(reason: string, cause?: unknown): ImgctlError {
  return new ImgctlError('InvalidArchive', `The ZFS stream is not valid: ${reason}`, {
    ...(cause === undefined ? {} : {cause}),
    hint: 'The file is damaged; get it again',
    details: {format: 'zfs'},
  });
}

export function truncatedStream(): ImgctlError {
  return new ImgctlError('InvalidArchive', 'The ZFS stream is truncated: it stops before its end record', {
    hint: 'The file is incomplete; get it again',
    details: {format: 'zfs'},
  });
}

export function unsupportedStream(what: string, hint: string): ImgctlError {
  return new ImgctlError('NotSupported', `The ZFS stream cannot be read: it ${what}`, {
    hint,
    details: {format: 'zfs'},
  });
}

export function tooLargeStream(what: string): ImgctlError {
  return new ImgctlError('LimitExceeded', `The ZFS stream is refused: ${what}`, {details: {format: 'zfs'}});
}

/** A stream of changes, and what is there is not the snapshot that they were made from; undefined: nothing is. */
export function otherOrigin(wanted: string | undefined, present: string | undefined): ImgctlError {
  if (wanted === undefined)
    return new ImgctlError('InvalidArgument', 'The ZFS stream is whole, so it has no origin');
  const details = {
    format: 'zfs',
    originGuid: wanted,
    ...(present === undefined ? {} : {presentGuid: present}),
  };
  if (present === undefined) {
    return new ImgctlError(
      'OriginNotInstalled',
      `The ZFS stream holds only what changed since the snapshot with GUID ${wanted}, and no origin is given`,
      {hint: 'Import the image by its manifest, which names the origin', details},
    );
  }
  return new ImgctlError(
    'OriginNotInstalled',
    `The ZFS stream was made from another origin: it starts from the snapshot with GUID ${wanted}, and the origin is ${present}`,
    {hint: 'Import the image that the stream was made from', details},
  );
}
