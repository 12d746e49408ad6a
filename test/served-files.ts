/** A loopback server of files as image servers serve them: validators, conditions, ranges, and faults on demand. */
import {createHash} from 'node:crypto';
import type {IncomingHttpHeaders} from 'node:http';
import {startLoopback} from './loopback.ts';

export interface ServedFile {
  body: Buffer;
  /** None with `null`; made from the body by default. */
  etag?: string | null;
  /** The connection breaks after so many bytes of each answer. */
  cutAfter?: number;
  status?: number;
  location?: string;
  /** Without a Content-Length. */
  chunked?: boolean;
  /** Sends the file whatever the conditions say. */
  unconditional?: boolean;
  /** Answers only once this has resolved. */
  after?: Promise<void>;
}

export interface SeenRequest {
  path: string;
  status: number;
  headers: IncomingHttpHeaders;
}

export interface ServedFiles {
  url: string;
  files: Map<string, ServedFile>;
  seen: SeenRequest[];
  close(): Promise<void>;
}

export const modifiedSeconds = 1_700_000_000;

export async function serveFiles(initial: Record<string, Buffer | string> = {}): Promise<ServedFiles> {
  const files = new Map<string, ServedFile>();
  for (const [path, body] of Object.entries(initial)) files.set(path, {body: Buffer.from(body)});
  const seen: SeenRequest[] = [];
  const {url, close} = await startLoopback(async (request, response) => {
    const path = request.url ?? '';
    const file = files.get(path);
    await file?.after;
    const {status, headers, body} = answerTo(file, request.headers);
    seen.push({path, status, headers: request.headers});
    response.writeHead(status, headers);
    if (file?.cutAfter === undefined || body.length <= file.cutAfter) response.end(body);
    else response.write(body.subarray(0, file.cutAfter), () => response.destroy());
  });
  return {url, files, seen, close};
}

export function etagOf(body: Buffer): string {
  return `"${createHash('sha256').update(body).digest('hex').slice(0, 16)}"`;
}

interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

function answerTo(file: ServedFile | undefined, asked: IncomingHttpHeaders): Answer {
  if (!file) return {status: 404, headers: {}, body: Buffer.from('not found\n')};
  const {body, status, location} = file;
  if (location !== undefined) return {status: 302, headers: {location}, body: Buffer.alloc(0)};
  if (status !== undefined) return {status, headers: {}, body: Buffer.from('status\n')};
  const etag = file.etag === undefined ? etagOf(body) : file.etag;
  const headers: Record<string, string> = {
    'last-modified': new Date(modifiedSeconds * 1000).toUTCString(),
    ...(etag === null ? {} : {etag}),
  };
  if (etag !== null && !file.unconditional && asked['if-none-match']?.split(', ').includes(etag)) {
    return {status: 304, headers, body: Buffer.alloc(0)};
  }
  const [, from] = /^bytes=(\d+)-$/.exec(asked.range ?? '') ?? [];
  if (from !== undefined && asked['if-range'] === etag) {
    const part = body.subarray(Number(from));
    if (part.length === 0) {
      const whole = {'content-range': `bytes */${body.length}`};
      return {status: 416, headers: whole, body: Buffer.alloc(0)};
    }
    const range = `bytes ${from}-${body.length - 1}/${body.length}`;
    return {
      status: 206,
      headers: {...headers, 'content-range': range, 'content-length': `${part.length}`},
      body: part,
    };
  }
  return {
    status: 200,
    headers: file.chunked ? headers : {...headers, 'content-length': `${body.length}`},
    body,
  };
}
