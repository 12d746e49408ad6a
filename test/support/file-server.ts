/** One loopback server with one file, at any path, and faults on demand: one per request, in order. */
import {createHash} from 'node:crypto';
import type {IncomingMessage, ServerResponse} from 'node:http';
import {startLoopback} from '../loopback.ts';

export interface Fault {
  /** Cut the connection after so many bytes of the body. */
  cutAfter?: number;
  /** Send so many bytes of the body and then nothing more. */
  stallAfter?: number;
  /** Answer with the whole file whatever is asked for. */
  ignoreRange?: boolean;
  /** Answer with a part even when the condition of the range does not hold. */
  ignoreCondition?: boolean;
  /** The Content-Length to state; `none` sends the body in chunks of unknown sum. */
  length?: number | 'none';
  /** Sent behind the end of the body. */
  more?: Buffer;
  status?: number;
}

export interface SeenRequest {
  range: string | undefined;
  ifRange: string | undefined;
}

export interface FileServer {
  readonly url: string;
  content: Buffer;
  /** Undefined sends no ETag. */
  etag: string | undefined;
  faults: Fault[];
  readonly requests: SeenRequest[];
  /** Resolves when somebody has asked that often. */
  asked(times: number): Promise<void>;
  close(): Promise<void>;
}

export async function startFileServer(content: Buffer): Promise<FileServer> {
  const waiters: {times: number; resolve: () => void}[] = [];
  const requests: SeenRequest[] = [];
  const loopback = await startLoopback((request, response) => {
    requests.push({range: request.headers.range, ifRange: request.headers['if-range'] as string | undefined});
    for (const waiter of waiters) if (requests.length >= waiter.times) waiter.resolve();
    answer(server, request, response);
  });
  const server: FileServer = {
    url: loopback.url,
    content,
    etag: '"one"',
    faults: [],
    requests,
    asked: (times) =>
      new Promise((resolve) => {
        if (requests.length >= times) resolve();
        else waiters.push({times, resolve});
      }),
    close: () => loopback.close(),
  };
  return server;
}

function answer(server: FileServer, request: IncomingMessage, response: ServerResponse): void {
  const fault = server.faults.shift() ?? {};
  const {content, etag} = server;
  response.on('error', () => undefined);
  if (fault.status !== undefined) {
    response.writeHead(fault.status, {'content-type': 'application/json'}).end('{"code":"X","message":"no"}');
    return;
  }
  const start = startOf(request, fault, etag);
  const body = content.subarray(start);
  response.statusCode = start > 0 ? 206 : 200;
  if (start > 0) {
    response.setHeader('content-range', `bytes ${start}-${content.length - 1}/${content.length}`);
  }
  if (etag !== undefined) response.setHeader('etag', etag);
  if (fault.length !== 'none') response.setHeader('content-length', fault.length ?? body.length);
  // What goes behind the announced end has to go past the response, straight to the socket.
  response.strictContentLength = false;
  const sent = fault.cutAfter ?? fault.stallAfter ?? body.length;
  response.write(body.subarray(0, sent), () => {
    if (fault.cutAfter !== undefined) response.socket?.destroy();
    if (fault.more) response.socket?.write(fault.more);
  });
  if (fault.cutAfter === undefined && fault.stallAfter === undefined) response.end();
}

function startOf(request: IncomingMessage, fault: Fault, etag: string | undefined): number {
  const [, start] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
  if (start === undefined || fault.ignoreRange) return 0;
  const condition = request.headers['if-range'];
  return condition === undefined || condition === etag || fault.ignoreCondition ? Number(start) : 0;
}

/** Bytes that differ everywhere and are the same in every run. */
export function pattern(sizeBytes: number, seed = 'seed'): Buffer {
  const result = Buffer.alloc(sizeBytes);
  let block = Buffer.from(seed);
  for (let offset = 0; offset < sizeBytes; offset += block.length) {
    block = createHash('sha256').update(block).digest();
    block.copy(result, offset);
  }
  return result;
}

export function sha1Of(content: Buffer): string {
  return createHash('sha1').update(content).digest('hex');
}
