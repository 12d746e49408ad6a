/** What the user is told when a call was refused: the one place that translates bus errors of services inward. */
import {type ErrorCode, ImgctlError} from '../../errors.ts';
import {BusError, busErrorNames} from '../bus-error.ts';
import {import1, machine1} from '../import1.ts';

const prefix = 'org.freedesktop.DBus.Error.';

const codes: Readonly<Record<string, ErrorCode>> = {
  [busErrorNames.invalidArgs]: 'InvalidArgument',
  [busErrorNames.notSupported]: 'NotSupported',
  [busErrorNames.unknownMethod]: 'NotSupported',
  [busErrorNames.unknownInterface]: 'NotSupported',
  [`${prefix}FileExists`]: 'ImageAlreadyExists',
  [`${prefix}FileNotFound`]: 'FileSystem',
  [`${prefix}IOError`]: 'FileSystem',
  [`${prefix}LimitsExceeded`]: 'LimitExceeded',
  'System.Error.E2BIG': 'LimitExceeded',
  'System.Error.ENOSPC': 'NoSpace',
  'System.Error.EDQUOT': 'NoSpace',
  'System.Error.EROFS': 'FileSystem',
  'System.Error.ENOTDIR': 'InvalidArgument',
  'System.Error.EREMOTEIO': 'InvalidArgument',
  [import1.transferInProgress]: 'FileSystem',
  [machine1.noSuchImage]: 'ImageNotInstalled',
};
const retryable = new Set(['System.Error.E2BIG', import1.transferInProgress]);
const absent = new Set([
  busErrorNames.serviceUnknown,
  busErrorNames.nameHasNoOwner,
  busErrorNames.noReply,
  `${prefix}Disconnected`,
]);

export interface AttemptedCall {
  /** For instance `importing "FILE" as "NAME"`. */
  attempted: string;
  service: string;
  /** The polkit action that allows it. */
  action?: string | undefined;
}

export function asCallError(error: unknown, {attempted, service, action}: AttemptedCall): ImgctlError {
  if (error instanceof ImgctlError) return error;
  const options = {cause: error};
  if (!(error instanceof BusError)) {
    const reason = error instanceof Error ? error.message : String(error);
    return new ImgctlError('InternalError', `${attempted} failed: ${reason}`, options);
  }
  const {errorName, message} = error;
  if (errorName === busErrorNames.accessDenied || errorName === busErrorNames.interactionRequired) {
    const permission = action ? `the polkit action "${action}"` : `calls to ${service}`;
    return new ImgctlError('NotAuthorized', `${attempted} is not permitted: ${message}`, {
      ...options,
      hint: `run it as root, or have an administrator allow ${permission}`,
    });
  }
  if ((absent as Set<string>).has(errorName) || errorName.startsWith(`${prefix}Spawn.`)) {
    return new ImgctlError('BusUnavailable', `${attempted} failed: "${service}" is not there: ${message}`, {
      ...options,
      retryable: true,
      hint: 'install systemd-container, or use --engine embedded',
    });
  }
  return new ImgctlError(codes[errorName] ?? 'InternalError', `${attempted} failed: ${message}`, {
    ...options,
    retryable: retryable.has(errorName),
  });
}
