/** An error as the bus carries it: what a call was answered with, or what a service answers. */

import {ImgctlError} from '../errors.ts';
import type {BusCall} from './bus-messages.ts';
export class BusError extends Error {
  /** For instance `org.freedesktop.DBus.Error.AccessDenied`. */
  readonly errorName: string;

  constructor(errorName: string, message: string, options?: {cause?: unknown}) {
    super(message, options);
    this.name = 'BusError';
    this.errorName = errorName;
  }
}

/** Names of the D-Bus specification and of systemd that more than one file needs. */
export const busErrorNames = {
  accessDenied: 'org.freedesktop.DBus.Error.AccessDenied',
  failed: 'org.freedesktop.DBus.Error.Failed',
  interactionRequired: 'org.freedesktop.DBus.Error.InteractiveAuthorizationRequired',
  invalidArgs: 'org.freedesktop.DBus.Error.InvalidArgs',
  limitsExceeded: 'org.freedesktop.DBus.Error.LimitsExceeded',
  nameHasNoOwner: 'org.freedesktop.DBus.Error.NameHasNoOwner',
  noReply: 'org.freedesktop.DBus.Error.NoReply',
  notSupported: 'org.freedesktop.DBus.Error.NotSupported',
  serviceUnknown: 'org.freedesktop.DBus.Error.ServiceUnknown',
  unknownInterface: 'org.freedesktop.DBus.Error.UnknownInterface',
  unknownMethod: 'org.freedesktop.DBus.Error.UnknownMethod',
  unknownObject: 'org.freedesktop.DBus.Error.UnknownObject',
} as const;

/** What libdbus makes of a call that nobody answers in time. */
export function noReplyError(call: Pick<BusCall, 'destination' | 'member'>, timeoutMs: number): BusError {
  const text = `"${call.destination}" did not answer ${call.member} within ${timeoutMs} ms`;
  return new BusError(busErrorNames.noReply, text);
}

export function tooLongError(): BusError {
  return new BusError(busErrorNames.limitsExceeded, 'Message too long');
}

export function busUnavailable(message: string, cause?: unknown): ImgctlError {
  const reason = cause instanceof Error ? `: ${cause.message}` : '';
  return new ImgctlError('BusUnavailable', `${message}${reason}`, {
    retryable: true,
    ...(cause !== undefined && {cause}),
  });
}
