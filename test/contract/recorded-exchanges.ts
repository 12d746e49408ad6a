/** The recorded exchanges of a reference IMGAPI server, and one of them sent to a server of ours. */
import {readFileSync} from 'node:fs';
import {request as httpRequest, type IncomingHttpHeaders} from 'node:http';
import {buffer} from 'node:stream/consumers';
import {fixturePath} from '../fixtures-dir.ts';

interface RecordedBody {
  encoding: 'utf-8' | 'base64';
  data: string;
}

export interface RecordedExchange {
  id: string;
  name: string;
  server: string;
  request: {
    method: string;
    target: string;
    headers: [name: string, value: string][];
    body?: RecordedBody;
    chunked?: boolean;
  };
  outcome: 'response' | 'closed' | 'timeout' | 'server-crash';
  response: {
    status: number;
    reason: string;
    headers: [name: string, value: string][];
    body: RecordedBody;
  } | null;
}

export interface ReceivedAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export function readRecording(file: string): RecordedExchange[] {
  const path = fixturePath('fixtures', 'imgapi-recorded', `${file}.json`);
  return (JSON.parse(readFileSync(path, 'utf8')) as {exchanges: RecordedExchange[]}).exchanges;
}

export function bodyBytes(body: RecordedBody | undefined): Buffer {
  return body === undefined
    ? Buffer.alloc(0)
    : Buffer.from(body.data, body.encoding === 'base64' ? 'base64' : 'utf8');
}

const signed = new Set(['authorization', 'date', 'x-date', 'host']);

/** Sends the request as recorded, with `substitute` applied to its texts; undefined when the connection is cut. */
export async function replay(
  {request, outcome}: RecordedExchange,
  base: string,
  substitute: (text: string) => string,
): Promise<ReceivedAnswer | undefined> {
  const body =
    request.body?.encoding === 'base64' ? bodyBytes(request.body) : substitute(request.body?.data ?? '');
  const headers = request.headers
    .filter(([name]) => name.toLowerCase() !== 'connection')
    // What is signed stays as it was.
    .map(([name, value]) => [name, signed.has(name.toLowerCase()) ? value : substitute(value)] as const);
  const url = new URL(base);
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({
      host: url.hostname,
      port: url.port,
      method: request.method,
      path: substitute(request.target),
      agent: false,
      headers: Object.fromEntries(headers),
    });
    // A request that got an answer then must get one, however long this machine takes.
    outgoing.setTimeout(outcome === 'response' ? 30_000 : 500, () => outgoing.destroy());
    outgoing.once('error', () => resolve(undefined));
    outgoing.once('response', (response) => {
      buffer(response).then(
        (received) => resolve({status: response.statusCode ?? 0, headers: response.headers, body: received}),
        reject,
      );
    });
    outgoing.end(body);
  });
}
