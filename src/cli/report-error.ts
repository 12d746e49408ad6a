/** The error line, and the JSON object of -E and -j (spec/imgadm.md §2.2, §10; ux.md §7). */

import {errnoOf, ImgctlError, ServerError} from '../errors.ts';
import {maskUrls} from '../http/mask-url.ts';
import {exitStatusOf} from './exit-codes.ts';
import {logLevels, recordHead} from './log.ts';
import {packageVersion} from './package-root.ts';
import {escapeControls} from './table.ts';

export interface ErrorReportOptions {
  program: string;
  /** The command, undefined before one is known. */
  command: string | undefined;
  asJson: boolean;
  /** The stack in place of the message (spec/imgadm.md §2.2). */
  withStack: boolean;
  requestId: string;
}

/** Text for stderr without the last newline, and without secrets of URLs. */
export function errorReport(error: unknown, options: ErrorReportOptions): string {
  const known = asKnown(error);
  if (options.asJson) return maskUrls(errorRecord(known, options));
  const subject = options.command ? `${options.program} ${options.command}` : options.program;
  return maskUrls(errorLines(known, subject, options.withStack));
}

/** A failure nobody foresaw is one of the system, or `InternalError`, with the message it came with. */
function asKnown(error: unknown): ImgctlError {
  if (error instanceof ImgctlError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const errno = error instanceof Error && 'syscall' in error ? errnoOf(error) : undefined;
  if (errno === undefined) return internalError(message, error);
  const isFull = errno === 'ENOSPC' || errno === 'EDQUOT';
  return new ImgctlError(isFull ? 'NoSpace' : 'FileSystem', message, {cause: error, retryable: isFull});
}

/** A fault of ours: which version it is, and what to do about it (ux.md §7.1). */
function internalError(message: string, cause: unknown): ImgctlError {
  return new ImgctlError('InternalError', message, {
    cause,
    hint: `this is a fault of imgctl ${packageVersion()}: report it, with what -v prints, where you got imgctl from`,
    details: {version: packageVersion()},
  });
}

/** What people read; without the last newline. */
export function errorLines(error: ImgctlError, subject: string, withStack = false): string {
  const text = withStack ? stackText(error) : messageWithItems(error);
  const message = text.split('\n').map(escapeControls).join('\n');
  const lines = [`${escapeControls(subject)}: error (${escapeControls(error.publicCode)}): ${message}`];
  const usage = error.details?.usage;
  if (typeof usage === 'string') lines.push(`  usage: ${usage}`);
  const tried = error.details?.tried;
  if (Array.isArray(tried) && tried.length > 0)
    lines.push(`  tried: ${tried.map(String).map(escapeControls).join(', ')}`);
  const cause = causeText(error);
  if (cause) lines.push(`  cause: ${escapeControls(cause)}`);
  if (error.hint) lines.push(`  hint: ${escapeControls(error.hint)}`);
  return lines.join('\n');
}

/** The stacks of the error and of what caused it, the nearest first. */
function stackText(error: Error): string {
  const stack = error.stack ?? error.message;
  return error.cause instanceof Error ? `${stack}\nCaused by: ${stackText(error.cause)}` : stack;
}

/** A server's validation items follow its message, one line each (spec/imgadm.md §9.4); the message may have them. */
function messageWithItems(error: ImgctlError): string {
  if (!(error instanceof ServerError)) return error.message;
  const items = error.items.map(
    (item) => `    ${item.field}: ${item.code}${item.message ? `: ${item.message}` : ''}`,
  );
  const said = error.message.split('\n');
  return [error.message, ...items.filter((line) => !said.includes(line))].join('\n');
}

/** The cause, when it says something that the message does not. */
function causeText(error: ImgctlError): string | undefined {
  if (!(error.cause instanceof Error) || error.cause instanceof ImgctlError) return undefined;
  const text = error.cause.message;
  return text && !error.message.includes(text) ? text.split('\n')[0] : undefined;
}

function errorRecord(error: ImgctlError, options: ErrorReportOptions): string {
  const message = messageWithItems(error);
  return JSON.stringify({
    ...recordHead({name: options.program, requestId: options.requestId}, logLevels.error),
    err: {
      message,
      name: error.name,
      stack: error.stack,
      code: error.publicCode,
      exitStatus: exitStatusOf(error),
      retryable: error.retryable,
      hints: error.hint ? [error.hint] : [],
      ...(error.details && {details: error.details}),
    },
    msg: message,
    time: new Date().toISOString(),
    v: 0,
  });
}
