import {createHash} from 'node:crypto';
import {promisify} from 'node:util';
import {gunzip} from 'node:zlib';
import {errnoOf} from '../errors.ts';
import type {Exchange} from './exchange.ts';
import {refusals} from './refusals.ts';

const decodeGzip = promisify(gunzip);

/** Greatest size of a JSON body, before and after decoding. */
const maxBodyBytes = 1024 * 1024;

/** The JSON value of the request's body; refuses an empty, oversized, damaged or unreadable one. */
export async function readJsonBody(exchange: Exchange): Promise<unknown> {
  const received = await readLimited(exchange);
  checkDigest(exchange, received);
  const body = await decode(exchange, received);
  if (body.length === 0) throw refusals.missingBody();
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw refusals.invalidContent(`Invalid JSON: ${error instanceof Error ? error.message : error}`);
  }
}

async function readLimited(exchange: Exchange): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  // Not destroyed on a refusal: the answer still has to go out on the same connection.
  for await (const chunk of exchange.request.iterator({destroyOnReturn: false}) as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBodyBytes) throw refusals.bodyTooLarge(maxBodyBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, sizeBytes);
}

function checkDigest(exchange: Exchange, received: Buffer): void {
  const stated = exchange.request.headers['content-md5'];
  if (typeof stated !== 'string') return;
  const actual = createHash('md5').update(received).digest('base64');
  if (stated !== actual) throw refusals.badDigest(`Content-MD5 '${stated}' didn't match '${actual}'`);
}

async function decode(exchange: Exchange, received: Buffer): Promise<Buffer> {
  if (exchange.request.headers['content-encoding'] !== 'gzip' || received.length === 0) return received;
  try {
    return await decodeGzip(received, {maxOutputLength: maxBodyBytes});
  } catch (error) {
    if (errnoOf(error) === 'ERR_BUFFER_TOO_LARGE') throw refusals.bodyTooLarge(maxBodyBytes);
    throw refusals.invalidContent('Invalid gzip encoding');
  }
}
