import type {IncomingHttpHeaders} from 'node:http';
import {Readable} from 'node:stream';
import {ImgctlError} from '../errors.ts';
import type {StreamAnswer} from './http-client.ts';

/** An image's file as it comes from a server, unverified; the shape of `SourceFile`. The caller destroys `body`. */
export interface ServedFile {
  body: Readable;
  /** Where in the file the body begins: what was asked for, or 0. */
  offsetBytes: number;
  totalBytes: number | undefined;
  validator: string | undefined;
  /** Hex MD5 of the whole file; only stated with a whole file. */
  md5: string | undefined;
}

/** Headers that ask for the rest of a file, and for the whole of it if it is no longer the same one. */
export function rangeHeaders(offsetBytes: number, validator: string | undefined): Record<string, string> {
  if (offsetBytes === 0) return {};
  return {
    range: `bytes=${offsetBytes}-`,
    ...(validator !== undefined && {'if-range': validator}),
  };
}

/**
 * What a 200, 206 or 416 answer to a request from `offsetBytes` on is worth; undefined for a 416 that does not fit,
 * upon which the caller asks for the whole file. Throws `DownloadError` for a part that is not the one asked for.
 */
export function servedFile(
  answer: StreamAnswer,
  offsetBytes: number,
  subject: string,
): ServedFile | undefined {
  const {headers} = answer;
  if (answer.status === 416) return fileAlreadyWhole(headers, offsetBytes);
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new ImgctlError('DownloadError', `${subject}: unexpected Content-Encoding header: ${encoding}`);
  }
  const validator = strongValidator(headers);
  if (answer.status !== 206) {
    const totalBytes = sizeOf(headers['content-length']);
    return {body: answer.body, offsetBytes: 0, totalBytes, validator, md5: md5Of(headers)};
  }
  const totalBytes = rangeTotal(headers, offsetBytes);
  if (totalBytes === undefined) {
    const range = headers['content-range'];
    throw new ImgctlError('DownloadError', `${subject}: unexpected Content-Range header: ${range}`);
  }
  return {body: answer.body, offsetBytes, totalBytes, validator, md5: undefined};
}

/** Nothing lies behind an offset at the very end of the file: the rest is empty. */
function fileAlreadyWhole(headers: IncomingHttpHeaders, offsetBytes: number): ServedFile | undefined {
  const [, total] = /^bytes \*\/(\d{1,16})$/.exec(headers['content-range'] ?? '') ?? [];
  if (sizeOf(total) !== offsetBytes) return undefined;
  const validator = strongValidator(headers);
  return {body: Readable.from([]), offsetBytes, totalBytes: offsetBytes, validator, md5: undefined};
}

/** The size of the whole file if the answer is everything from the offset to its end. */
function rangeTotal(headers: IncomingHttpHeaders, offsetBytes: number): number | undefined {
  const match = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16})$/.exec(headers['content-range'] ?? '');
  if (match === null) return undefined;
  const [first, last, total] = match.slice(1).map(Number) as [number, number, number];
  if (first !== offsetBytes || last !== total - 1) return undefined;
  const length = headers['content-length'];
  return length === undefined || sizeOf(length) === total - first ? total : undefined;
}

function strongValidator(headers: IncomingHttpHeaders): string | undefined {
  const {etag} = headers;
  return etag === undefined || etag.startsWith('W/') || etag.length > 512 ? undefined : etag;
}

function sizeOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : undefined;
}

function md5Of(headers: IncomingHttpHeaders): string | undefined {
  const stated = headers['content-md5'];
  if (typeof stated !== 'string') return undefined;
  const digest = Buffer.from(stated, 'base64');
  return digest.length === 16 ? digest.toString('hex') : undefined;
}
