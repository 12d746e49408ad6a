/** How a run that was stopped ends (ux.md §11): what is left, and how to go on. */

import {ImgctlError} from '../errors.ts';
import {maskUrl} from '../http/mask-url.ts';
import type {ProgramName} from './context-flags.ts';

/** Whatever a stopped run fails with, it was stopped; who knows what is left has told it. */
export function asInterrupted(error: unknown, signal: AbortSignal, hint: string): ImgctlError {
  const name = String(signal.reason);
  const details = error instanceof ImgctlError && error.code === 'Interrupted' ? error.details : undefined;
  const left = details?.left ?? 'nothing is half installed; what was downloaded is kept';
  return new ImgctlError('Interrupted', `stopped by ${name}; ${left}`, {
    retryable: true,
    hint,
    details: {...details, signal: name, left},
  });
}

/** For people; undefined where the error is told as others are. */
export function stoppedLines({code, details, hint}: ImgctlError): string | undefined {
  if (code !== 'Interrupted' || typeof details?.left !== 'string') return undefined;
  const left = `${details.left.charAt(0).toUpperCase()}${details.left.slice(1)}`;
  return `Stopped. ${left}.\n  continue with: ${hint}`;
}

/** The same command line again, to be pasted; an image that was found by name is named by its UUID. */
export function commandLine(program: ProgramName, argv: readonly string[], error: unknown): string {
  const details = error instanceof ImgctlError ? error.details : undefined;
  const words = argv.map((word) => (word === details?.text ? String(details?.uuid) : maskUrl(word)));
  return [program, ...words.map(quoted)].join(' ');
}

function quoted(word: string): string {
  return /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
