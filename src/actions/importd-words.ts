/**
 * Failures of transfers in the words of importd, which scripts look for (spec/importctl.md §4; spec/engine.md §3-§8).
 * What importd has no words for keeps its own.
 */

import {ImgctlError} from '../errors.ts';
import type {TransferOrder} from './transfer-order.ts';

const reasons: Readonly<Record<string, string>> = {
  EBADMSG: 'Bad message',
  EFBIG: 'File too large',
  EIO: 'Input/output error',
  EISDIR: 'Is a directory',
  ENOTDIR: 'Not a directory',
  EOPNOTSUPP: 'Operation not supported',
};

/** The lines that end a transfer which has begun. */
export function importdWords(error: unknown, order: TransferOrder): string[] {
  if (!(error instanceof ImgctlError)) return [error instanceof Error ? error.message : String(error)];
  switch (error.code) {
    case 'Interrupted':
      return ['Transfer aborted.'];
    case 'ImageAlreadyExists':
      return [`Image '${order.localName}' already exists.`];
    case 'ImageNotInstalled':
      return [`Image ${order.localName} not found.`];
    case 'UncompressionError':
      return ['Failed to decode and write: Bad message'];
    default:
      return wordsByDetails(error, order);
  }
}

/** The line about a transfer that did not begin. */
export function importdRefusal(error: unknown, order: TransferOrder): string {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof ImgctlError ? error.code : undefined;
  return code === 'ImageAlreadyExists'
    ? `Image '${order.localName}' already exists.`
    : `Failed to transfer image: ${message}`;
}

function wordsByDetails(error: ImgctlError, order: TransferOrder): string[] {
  const {format, fault, errno} = error.details ?? {};
  const reason = reasons[String(errno)];
  if (order.verb.startsWith('export-') && reason) return [`Failed to export image: ${reason}`];
  if (format === 'qcow2' && reason) return [`Failed to convert qcow2 image: ${reason}`];
  if (fault === 'empty') return ['Failed to detect whether this is a QCOW2 image: Input/output error'];
  if (format === 'tar') return [archiveWords(error, fault), "'tar' failed with exit status 1."];
  return [error.message];
}

function archiveWords(error: ImgctlError, fault: unknown): string {
  if (fault === 'unrecognized') return 'Failed to initialize archive context: Unrecognized archive format';
  return fault === 'entry' ? 'Invalid path name in entry, refusing.' : error.message;
}
