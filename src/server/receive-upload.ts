import {createWriteStream} from 'node:fs';
import {pipeline} from 'node:stream/promises';
import {DigestTap} from '../verify/digests.ts';
import type {Exchange} from './exchange.ts';
import {refusals} from './refusals.ts';
import {SizeLimit} from './size-limit.ts';

export interface Upload {
  sizeBytes: number;
  sha1: string;
  /** Base64. */
  contentMD5: string;
}

export interface UploadLimit {
  /** How refusals call what is limited. */
  subject: string;
  maxBytes: number;
}

/** `Content-Length`, refused before the first byte when it is above the limit. */
export function announcedSize(exchange: Exchange, {subject, maxBytes}: UploadLimit): number | undefined {
  const text = exchange.request.headers['content-length'];
  if (text === undefined) return undefined;
  const sizeBytes = Number(text);
  if (sizeBytes > maxBytes) throw tooBig(`${subject} ${sizeBytes} (from Content-Length)`, maxBytes);
  return sizeBytes;
}

/** Writes the request's body to a new file and syncs it. */
export async function receiveUpload(
  exchange: Exchange,
  path: string,
  {subject, maxBytes}: UploadLimit,
): Promise<Upload> {
  const tap = new DigestTap(['sha1', 'md5']);
  const limit = new SizeLimit(maxBytes, () => tooBig(subject, maxBytes));
  // Not destroyed on a refusal: the answer still has to go out on the same connection.
  const body = exchange.request.iterator({destroyOnReturn: false});
  await pipeline(body, limit, tap, createWriteStream(path, {flags: 'wx', flush: true}));
  const contentMD5 = Buffer.from(tap.digest('md5'), 'hex').toString('base64');
  const stated = exchange.request.headers['content-md5'];
  if (stated !== undefined && stated !== contentMD5) {
    throw refusals.badDigest(`Content-MD5 '${stated}' didn't match '${contentMD5}'`);
  }
  return {sizeBytes: tap.sizeBytes, sha1: tap.digest('sha1'), contentMD5};
}

function tooBig(subject: string, maxBytes: number): Error {
  const [size, unit] =
    [...units, [1, 'bytes'] as const].find(([bytes]) => maxBytes % bytes === 0) ?? units[0];
  return refusals.upload(`${subject} exceeds the maximum allowed size, ${maxBytes / size} ${unit}`);
}

const units = [
  [1024 ** 3, 'GiB'],
  [1024, 'KiB'],
] as const;
