/** Exit statuses (design.md §7, ux.md §8). The only place that turns an error into one. */

import {ImgctlError} from '../errors.ts';

const statusByCode: Readonly<Record<string, number>> = {
  Option: 2,
  Usage: 2,
  UnknownCommand: 2,
  UnknownOption: 2,
  ImageNotInstalled: 3,
  OriginNotInstalled: 3,
  PartlyDone: 4,
  ChecksumError: 5,
  SignatureNotTrusted: 5,
  SourceDowngraded: 5,
  VerificationRequired: 5,
  Interrupted: 130,
};

/** Status of a failed command; an interruption by SIGTERM is told apart by its details. */
export function exitStatusOf(error: unknown): number {
  if (!(error instanceof ImgctlError)) return 1;
  if (error.code === 'Interrupted' && error.details?.signal === 'SIGTERM') return 143;
  // Never a server's own code: that is foreign text.
  return statusByCode[error.code] ?? 1;
}

/** A refusal of the command line. */
export function isUsage(error: unknown): boolean {
  return exitStatusOf(error) === 2;
}
