/** The error line, and the JSON object of -E and -j (spec/imgadm.md §2.2, §10; ux.md §7). */

import {randomUUID} from 'node:crypto';
import os from 'node:os';
import {ImgctlError, ServerError} from '../errors.ts';
import {exitStatusOf} from './exit-codes.ts';
import {escapeControls} from './table.ts';

export interface ErrorReportOptions {
  program: string;
  /** The command, undefined before one is known. */
  command: string | undefined;
  asJson: boolean;
  verbose: boolean;
  requestId: string | undefined;
}

/** Text for stderr without the last newline. */
export function errorReport(error: unknown, options: ErrorReportOptions): string {
  const known = asKnown(error);
  const detail =
    options.verbose && error instanceof Error ? [error.stack ?? error.message] : humanLines(known, options);
  return options.asJson ? errorRecord(known, options) : detail.join('\n');
}

/** A failure nobody foresaw is `InternalError`, with the message it came with. */
function asKnown(error: unknown): ImgctlError {
  if (error instanceof ImgctlError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ImgctlError('InternalError', message, {cause: error});
}

function humanLines(error: ImgctlError, options: ErrorReportOptions): string[] {
  const subject = options.command ? `${options.program} ${options.command}` : options.program;
  const message = messageWithItems(error).split('\n').map(escapeControls).join('\n');
  const lines = [`${subject}: error (${error.publicCode}): ${message}`];
  const tried = error.details?.tried;
  if (Array.isArray(tried) && tried.length > 0)
    lines.push(`  tried: ${tried.map(String).map(escapeControls).join(', ')}`);
  const cause = causeText(error);
  if (cause) lines.push(`  cause: ${escapeControls(cause)}`);
  if (error.hint) lines.push(`  hint: ${escapeControls(error.hint)}`);
  return lines;
}

/** A server's validation items follow its message, one line each (spec/imgadm.md §9.4). */
function messageWithItems(error: ImgctlError): string {
  if (!(error instanceof ServerError)) return error.message;
  const items = error.items.map(
    (item) => `    ${item.field}: ${item.code}${item.message ? `: ${item.message}` : ''}`,
  );
  return [error.message, ...items].join('\n');
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
    name: options.program,
    req_id: options.requestId ?? randomUUID(),
    hostname: os.hostname(),
    pid: process.pid,
    level: 50,
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
