import type {Readable} from 'node:stream';
import {promisify} from 'node:util';
import {gunzip} from 'node:zlib';
import {errnoOf, ImgctlError} from '../errors.ts';

const decodeGzip = promisify(gunzip);

/** Collects a body into memory; destroys it and throws `LimitExceeded` at the first byte above the limit. */
export async function readBody(body: Readable, limitBytes: number, subject: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) throw tooLarge(subject, limitBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, sizeBytes);
}

/** Undoes a `Content-Encoding`; the limit holds for what comes out, so that a small body cannot grow without end. */
export async function decodeBody(
  encoded: Buffer,
  encoding: string | undefined,
  limit: {bytes: number; subject: string},
): Promise<Buffer> {
  const name = encoding?.trim().toLowerCase() ?? 'identity';
  if (name === 'identity' || name === '' || encoded.length === 0) return encoded;
  if (name !== 'gzip' && name !== 'x-gzip') {
    throw new ImgctlError('ClientError', `${limit.subject}: Content-Encoding "${name}" was not asked for`);
  }
  try {
    return await decodeGzip(encoded, {maxOutputLength: limit.bytes});
  } catch (error) {
    if (errnoOf(error) === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limit.subject, limit.bytes);
    throw new ImgctlError('ClientError', `${limit.subject}: broken gzip encoding of the answer`, {
      cause: error,
      retryable: true,
    });
  }
}

function tooLarge(subject: string, limitBytes: number): ImgctlError {
  const message = `${subject}: answer is larger than the limit of ${limitBytes} bytes`;
  return new ImgctlError('LimitExceeded', message, {details: {limitBytes}});
}
