import type {IncomingHttpHeaders, IncomingMessage} from 'node:http';
import {pipeline, type Readable} from 'node:stream';
import got from 'got';
import type {Agents} from './agents.ts';
import {type Reception, receptionOf} from './direct-agent.ts';
import {ExactLength} from './exact-length.ts';

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';

/** A body of known length; `open` is called once for each try. */
export interface StreamedBody {
  open: () => Readable;
  sizeBytes: number;
}

export interface OutgoingRequest {
  method: Method;
  url: string;
  headers: Record<string, string>;
  body?: Buffer | StreamedBody;
  signal?: AbortSignal;
}

export interface ConnectionSettings {
  agents: Agents;
  /** For the name lookup, the connection and the TLS handshake, each. */
  connectTimeoutMs: number;
  maxHeaderBytes: number;
  /** The longest silence: until the headers come, and while a body is sent. */
  stallTimeoutMs: number;
  /** The longest wait for the answer after a streamed body: the server may still digest and sync it. */
  digestTimeoutMs: number;
}

export interface RawAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  /** Not decoded, no stall detection; the caller reads or destroys it. */
  body: Readable;
  /** Where the rest of the body can be had without the streams. */
  direct?: DirectBody | undefined;
}

/** The body of an answer as it comes out of its connection. */
export interface DirectBody {
  sizeBytes: number;
  reception: Reception;
  /** Of those that have left the connection, so many are not in `body` yet. */
  underWayBytes(): number;
}

/**
 * One try of one request: no retry, no redirect, no decoding, any status is an answer. Resolves with the
 * headers. Rejects with what got or the body's stream failed with, or with the signal's reason.
 */
export async function send(request: OutgoingRequest, connection: ConnectionSettings): Promise<RawAnswer> {
  request.signal?.throwIfAborted();
  const {body} = request;
  const upload = body === undefined || Buffer.isBuffer(body) ? undefined : body;
  const stream = got.stream(request.url, {
    method: request.method,
    headers: {...request.headers, ...(upload && {'content-length': String(upload.sizeBytes)})},
    ...(body !== undefined && {body: Buffer.isBuffer(body) ? body : measured(body)}),
    ...(request.signal && {signal: request.signal}),
    agent: connection.agents.forUrl(request.url),
    maxHeaderSize: connection.maxHeaderBytes,
    decompress: false,
    followRedirect: false,
    throwHttpErrors: false,
    retry: {limit: 0},
    timeout: {
      lookup: connection.connectTimeoutMs,
      connect: connection.connectTimeoutMs,
      secureConnect: connection.connectTimeoutMs,
      response: upload === undefined ? connection.stallTimeoutMs : connection.digestTimeoutMs,
    },
  });
  // got lets its user write a body into any request but GET and HEAD, and waits until that is done.
  if (body === undefined && request.method !== 'GET' && request.method !== 'HEAD') stream.end();
  const watch = upload === undefined ? watchAnswer(stream, connection) : watchUpload(stream, connection);
  try {
    const response = await firstAnswer(stream);
    // got 16.1 leaves the connection of an answer that has arrived but was not read open and in use for ever.
    stream.once('close', () => response.destroy());
    const direct = directBody(response, stream);
    return {status: response.statusCode ?? 0, headers: response.headers, body: stream, direct};
  } catch (error) {
    throw request.signal?.aborted ? request.signal.reason : error;
  } finally {
    clearTimeout(watch);
  }
}

/** Undefined where the body is not just the next so many bytes of a plain connection. */
function directBody(response: IncomingMessage, stream: Readable): DirectBody | undefined {
  const {headers, socket} = response;
  const reception = receptionOf(response);
  const length = headers['content-length'] ?? '';
  if (!reception || headers['transfer-encoding'] !== undefined || !/^\d{1,15}$/.test(length))
    return undefined;
  return {
    sizeBytes: Number(length),
    reception,
    underWayBytes: () => stream.readableLength + response.readableLength + socket.readableLength,
  };
}

function measured(body: StreamedBody): Readable {
  // A failure of either end destroys both; got reports it through the returned stream.
  return pipeline(body.open(), new ExactLength(body.sizeBytes), () => undefined);
}

/** A server that stops reading would hold an upload for ever: got has no time-out for that. */
function watchUpload(stream: ReturnType<typeof got.stream>, connection: ConnectionSettings): NodeJS.Timeout {
  const {stallTimeoutMs} = connection;
  const timer = setTimeout(() => {
    stream.destroy(new Error(`no data accepted for ${stallTimeoutMs} ms`));
  }, stallTimeoutMs + connection.connectTimeoutMs);
  stream.on('uploadProgress', ({percent}) => {
    if (percent === 1) clearTimeout(timer);
    else timer.refresh();
  });
  return timer;
}

/** The handshake with the server behind a proxy's tunnel is no part of what got counts, so the whole way to it has a bound. */
function watchAnswer(stream: ReturnType<typeof got.stream>, connection: ConnectionSettings): NodeJS.Timeout {
  const {connectTimeoutMs, stallTimeoutMs} = connection;
  const longestMs = 4 * connectTimeoutMs + stallTimeoutMs;
  return setTimeout(() => {
    stream.destroy(Object.assign(new Error(`no answer for ${longestMs} ms`), {code: 'ETIMEDOUT'}));
  }, longestMs);
}

function firstAnswer(stream: ReturnType<typeof got.stream>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    stream.once('response', (response) => {
      // It may fail before anybody reads it: whoever comes then finds it failed, and nobody else has to listen.
      stream.on('error', () => undefined);
      stream.off('error', reject);
      resolve(response as unknown as IncomingMessage);
    });
    stream.once('error', reject);
  });
}
