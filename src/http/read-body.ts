import {pipeline, type Readable} from 'node:stream';
import {promisify} from 'node:util';
import {createGunzip, gunzip} from 'node:zlib';
import {errnoOf, ImgctlError} from '../errors.ts';

const decodeGzip = promisify(gunzip);

/** Collects a body into memory; destroys it and throws `LimitExceeded` at the first byte above the limit. */
export async function readBody(body: Readable, limitBytes: number, subject: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of limited(body, {bytes: limitBytes, subject})) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Undoes a `Content-Encoding`; the limit holds for what comes out, so that a small body cannot grow without end. */
export async function decodeBody(
  encoded: Buffer,
  encoding: string | undefined,
  limit: {bytes: number; subject: string},
): Promise<Buffer> {
  if (encoded.length === 0 || !isGzip(encoding, limit.subject)) return encoded;
  try {
    return await decodeGzip(encoded, {maxOutputLength: limit.bytes});
  } catch (error) {
    if (errnoOf(error) === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limit.subject, limit.bytes);
    throw broken(error, limit.subject);
  }
}

/**
 * The same for a body that is not to be collected, piece by piece; the limit holds before and after decoding. `onEncoded` is
 * told of each piece as it was received. Whoever stops before the end leaves a body that is destroyed.
 */
export async function* decodedPieces(
  body: Readable,
  encoding: string | undefined,
  limit: {bytes: number; subject: string; onEncoded: (piece: Buffer) => void},
): AsyncGenerator<Buffer> {
  const encoded = limited(body, limit, limit.onEncoded);
  if (!isGzip(encoding, limit.subject)) {
    yield* encoded;
    return;
  }
  // A failure of the body ends the decoder with it, and whoever reads there is told.
  const decoder = pipeline(encoded, createGunzip(), () => undefined);
  try {
    yield* limited(decoder, limit);
  } catch (error) {
    throw errnoOf(error)?.startsWith('Z_') ? broken(error, limit.subject) : error;
  }
}

async function* limited(
  body: Readable,
  limit: {bytes: number; subject: string},
  onPiece: (piece: Buffer) => void = () => undefined,
): AsyncGenerator<Buffer> {
  let sizeBytes = 0;
  for await (const piece of body as AsyncIterable<Buffer>) {
    sizeBytes += piece.length;
    if (sizeBytes > limit.bytes) throw tooLarge(limit.subject, limit.bytes);
    onPiece(piece);
    yield piece;
  }
}

/** False for what needs no decoding; refuses all that was not asked for. */
function isGzip(encoding: string | undefined, subject: string): boolean {
  const name = encoding?.trim().toLowerCase() ?? 'identity';
  if (name === 'identity' || name === '') return false;
  if (name === 'gzip' || name === 'x-gzip') return true;
  throw new ImgctlError('ClientError', `${subject}: Content-Encoding "${name}" was not asked for`);
}

function broken(cause: unknown, subject: string): ImgctlError {
  return new ImgctlError('ClientError', `${subject}: broken gzip encoding of the answer`, {
    cause,
    retryable: true,
  });
}

function tooLarge(subject: string, limitBytes: number): ImgctlError {
  const message = `${subject}: answer is larger than the limit of ${limitBytes} bytes`;
  return new ImgctlError('LimitExceeded', message, {details: {limitBytes}});
}
