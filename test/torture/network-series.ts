/**
 * A server that does to a download whatever servers and ways to them do, at random and in any mixture: the download ends
 * in time, with the right bytes or a named error, and the cache never holds wrong bytes under their digest.
 */
import {createHash} from 'node:crypto';
import {existsSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import type {AddressInfo} from 'node:net';
import {createServer, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {TLSSocket} from 'node:tls';
import {gzipSync} from 'node:zlib';
import {DownloadCache} from '../../src/downloads/download-cache.ts';
import {ImgctlError} from '../../src/errors.ts';
import {HttpClient} from '../../src/http/http-client.ts';
import type {ImageManifest} from '../../src/manifest/manifest.ts';
import {openSource} from '../../src/sources/index.ts';
import {openWays, type Way, type Ways} from './network-ways.ts';
import type {Random} from './random.ts';

export interface NetworkRow {
  downloads: number;
  /** Of those, how many came whole; the others were refused by name. */
  whole: number;
  requests: number;
  slowestMs: number;
  /** How often each thing was done. */
  behaviours: Record<string, number>;
  /** How many downloads went each way. */
  ways: Record<string, number>;
}

export interface NetworkOptions {
  random: Random;
  until: number;
  onFinding(text: string): void;
}

const bytes = Buffer.from(Array.from({length: 70_000}, (_, index) => (index * 31 + (index >> 8)) & 255));
const others = Buffer.from(bytes).fill('x', 30_000, 40_000);
const uuid = 'aaaaaaaa-1111-4000-8000-000000000009';
const sha1 = createHash('sha1').update(bytes).digest('hex');
const manifest: ImageManifest = {
  ...{v: 2, uuid, name: 'net', version: '1', type: 'other', os: 'linux'},
  files: [{sha1, size: bytes.length, compression: 'none'}],
};
/** Whoever is silent for longer is given up. */
const stallMs = 150;
const longestMs = 20_000;

interface Asked {
  socket: Socket;
  /** Where the range begins; undefined: all was asked for. */
  from: number | undefined;
  random: Random;
  /** Of the server without TLS. */
  plainUrl: string;
}

type Behaviour = (asked: Asked) => void | Promise<void>;

const etag = (value = 'one'): string => `ETag: "${value}"\r\n`;

function head(status: string, ...lines: string[]): string {
  return `HTTP/1.1 ${status}\r\n${lines.map((line) => (line.endsWith('\r\n') ? line : `${line}\r\n`)).join('')}Connection: close\r\n\r\n`;
}

/** A right answer, of which the parts can be told to be otherwise. */
function answer(
  {socket, from}: Asked,
  {
    body = bytes,
    tag = 'one',
    length,
    range,
  }: {body?: Buffer; tag?: string; length?: number; range?: string} = {},
): Buffer {
  const start = from ?? 0;
  const part = body.subarray(start);
  const measured = `Content-Length: ${length ?? part.length}`;
  const said = range ?? `bytes ${start}-${body.length - 1}/${body.length}`;
  if (from === undefined) socket.write(head('200 OK', measured, etag(tag)));
  else socket.write(head('206 Partial Content', measured, etag(tag), `Content-Range: ${said}`));
  return part;
}

function chunked(asked: Asked, end: string): void {
  const {socket, from = 0} = asked;
  const status = asked.from === undefined ? '200 OK' : '206 Partial Content';
  const range =
    asked.from === undefined ? [] : [`Content-Range: bytes ${from}-${bytes.length - 1}/${bytes.length}`];
  socket.write(head(status, 'Transfer-Encoding: chunked', etag(), ...range));
  for (let at = from; at < bytes.length; at += 9000) {
    const part = bytes.subarray(at, at + 9000);
    socket.write(`${part.length.toString(16)}\r\n`);
    socket.write(part);
    socket.write('\r\n');
  }
  socket.end(end);
}

const redirect =
  (location: string): Behaviour =>
  ({socket}) =>
    void socket.end(head('302 Found', `Location: ${location}`, 'Content-Length: 0'));
const status =
  (text: string, ...lines: string[]): Behaviour =>
  ({socket}) =>
    void socket.end(`${head(text, ...lines, 'Content-Length: 2')}{}`);

const behaviours: Readonly<Record<string, Behaviour>> = {
  right: (asked) => void asked.socket.end(answer(asked)),
  cut: (asked) => {
    const part = answer(asked);
    asked.socket.end(part.subarray(0, asked.random.below(part.length + 1)));
  },
  reset: (asked) => {
    const part = answer(asked);
    asked.socket.write(part.subarray(0, asked.random.below(part.length + 1)), () =>
      // TLS has no such end.
      asked.socket instanceof TLSSocket ? asked.socket.destroy() : asked.socket.resetAndDestroy(),
    );
  },
  stall: (asked) => {
    const part = answer(asked);
    asked.socket.write(part.subarray(0, asked.random.below(part.length)));
  },
  silence: () => undefined,
  drip: async (asked) => {
    const part = answer(asked);
    for (let at = 0; at < part.length && !asked.socket.destroyed; at += 4000) {
      asked.socket.write(part.subarray(at, at + 4000));
      await sleep(2);
    }
    asked.socket.end();
  },
  'length too large': (asked) => void asked.socket.end(answer(asked, {length: bytes.length + 1000})),
  'length too small': (asked) => void asked.socket.end(answer(asked, {length: 100})),
  'no length': ({socket}) => {
    socket.write(head('200 OK', etag()));
    socket.end(bytes);
  },
  'length twice': ({socket}) =>
    void socket.end(
      Buffer.concat([
        Buffer.from(head('200 OK', 'Content-Length: 5', `Content-Length: ${bytes.length}`)),
        bytes,
      ]),
    ),
  'other bytes': (asked) => void asked.socket.end(answer(asked, {body: others})),
  'another file by its validator': (asked) =>
    void asked.socket.end(answer(asked, {body: others, tag: 'two'})),
  'range from elsewhere': (asked) =>
    void asked.socket.end(answer(asked, {range: `bytes 5-${bytes.length - 1}/${bytes.length}`})),
  'range of another size': (asked) => void asked.socket.end(answer(asked, {range: 'bytes 0-9/10'})),
  'range that is none': (asked) => void asked.socket.end(answer(asked, {range: 'bytes x-y/z'})),
  'all instead of a range': (asked) => void asked.socket.end(answer({...asked, from: undefined})),
  'a range for all': (asked) => void asked.socket.end(answer({...asked, from: asked.from ?? 1000})),
  416: status('416 Range Not Satisfiable', `Content-Range: bytes */${bytes.length}`),
  204: ({socket}) => void socket.end(head('204 No Content')),
  304: ({socket}) => void socket.end(head('304 Not Modified')),
  404: status('404 Not Found'),
  429: status('429 Too Many Requests', 'Retry-After: 0'),
  500: status('500 Internal Server Error', 'Retry-After: 0'),
  '503, now': status('503 Service Unavailable', 'Retry-After: 0'),
  '503, some day': status('503 Service Unavailable', 'Retry-After: 99999999'),
  '503, some time': status('503 Service Unavailable', 'Retry-After: soon'),
  'redirect to itself': redirect('?'),
  'redirect elsewhere': redirect('/moved'),
  // Good for those who came without TLS; nobody else may follow.
  'redirect to http': (asked) => redirect(`${asked.plainUrl}/moved`)(asked),
  'redirect to a file': redirect('file:///etc/passwd'),
  'redirect to nowhere': redirect('ftp://127.0.0.1/x'),
  'redirect that is none': redirect(`http://[${'x'.repeat(5000)}`),
  'chunks in order': (asked) => chunked(asked, '0\r\n\r\n'),
  'chunks without an end': (asked) => chunked(asked, ''),
  'chunks with a bad end': (asked) => chunked(asked, 'zz\r\n\r\n'),
  gzip: ({socket}) => {
    const packed = gzipSync(bytes);
    socket.write(head('200 OK', 'Content-Encoding: gzip', `Content-Length: ${packed.length}`));
    socket.end(packed);
  },
  'gzip that is none': ({socket}) => {
    socket.write(head('200 OK', 'Content-Encoding: gzip', `Content-Length: ${bytes.length}`));
    socket.end(bytes);
  },
  'HTTP/1.0': ({socket}) => {
    socket.write(`HTTP/1.0 200 OK\r\nContent-Length: ${bytes.length}\r\n\r\n`);
    socket.end(bytes);
  },
  'HTTP/1.0 without length': ({socket}) => {
    socket.write('HTTP/1.0 200 OK\r\n\r\n');
    socket.end(bytes);
  },
  'no HTTP': ({socket}) => void socket.end('220 mail.example.com ESMTP\r\n'),
  'giant headers': ({socket}) =>
    void socket.end(`HTTP/1.1 200 OK\r\n${`X-Long: ${'x'.repeat(8000)}\r\n`.repeat(40)}\r\n`),
  'headers without an end': ({socket}) => void socket.write('HTTP/1.1 200 OK\r\nX-A: b\r\n'),
  'header with a line end inside': ({socket}) =>
    void socket.end('HTTP/1.1 200 OK\r\nETag: "a\rb"\r\nX\r\n\r\n'),
};

const passing = [
  ...['cut', 'reset', 'stall', 'length too large', 'chunks without an end', 'redirect elsewhere', '503, now'],
  ...['another file by its validator', 'all instead of a range', 'range from elsewhere', 'silence'],
];

export async function runNetworkSeries({random, until, onFinding}: NetworkOptions): Promise<NetworkRow> {
  const row: NetworkRow = {downloads: 0, whole: 0, requests: 0, slowestMs: 0, behaviours: {}, ways: {}};
  const names = Object.keys(behaviours);
  let plan: string[] = [];
  let plainUrl = '';
  const serve = (socket: Socket): void => {
    socket.on('error', () => undefined);
    socket.once('data', (request) => {
      const name = plan.shift() ?? random.pick(['right', 'right', random.pick(names)]);
      row.requests += 1;
      row.behaviours[name] = (row.behaviours[name] ?? 0) + 1;
      const from = /^range: bytes=(\d+)-/im.exec(request.toString('latin1'))?.[1];
      const range = from === undefined ? undefined : Number(from);
      void behaviours[name]!({socket, from: range, random, plainUrl});
    });
  };
  const server = createServer((socket) => {
    if (way?.url.startsWith('https:')) onFinding(`network, ${way.name}: it was asked for without TLS`);
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const {port} = server.address() as AddressInfo;
  plainUrl = `http://127.0.0.1:${port}`;
  const ways: Ways = await openWays(random, port, serve);
  let way: Way | undefined;
  while (Date.now() < until || row.downloads === 0) {
    // Most of them end a download; after some it goes on.
    plan = Array.from({length: random.below(5)}, () => random.pick(passing));
    plan.push(random.pick(names));
    const told = plan.join(', ');
    way = ways.pick(random);
    row.ways[way.name] = (row.ways[way.name] ?? 0) + 1;
    for (const text of await downloadOnce(way, row))
      onFinding(`network, ${way.name}, after ${told}: ${text}`);
  }
  server.close();
  ways.close();
  return row;
}

async function downloadOnce({url, settings, isRefused}: Way, row: NetworkRow): Promise<string[]> {
  const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-network-'));
  const texts: string[] = [];
  const cache = new DownloadCache({directory, maxBytes: 1e9, retries: 3, retryDelayMs: 1});
  const http = new HttpClient({
    userAgent: 'torture',
    ...{...settings, stallTimeoutMs: stallMs, connectTimeoutMs: stallMs},
    retries: {count: 2, baseDelayMs: 1, maxRetryAfterMs: 100},
  });
  const source = openSource({url, type: 'imgapi'}, {http, cache});
  const begin = performance.now();
  try {
    const file = await source.fetchFile(manifest, {signal: AbortSignal.timeout(longestMs)});
    if (!readFileSync(file.path).equals(bytes)) texts.push('other bytes were taken for the file');
    if (isRefused) texts.push('the file was taken from somebody else');
    await file.release();
    row.whole += 1;
  } catch (error) {
    const isNamed = error instanceof ImgctlError;
    if (!isNamed) texts.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  const ms = performance.now() - begin;
  row.downloads += 1;
  row.slowestMs = Math.max(row.slowestMs, Math.round(ms));
  if (ms > longestMs) texts.push(`it did not end in ${longestMs} ms`);
  const kept = path.join(directory, 'downloads', `sha1-${sha1}-${bytes.length}`);
  if (existsSync(kept) && !readFileSync(kept).equals(bytes)) texts.push('the cache holds other bytes');
  http.close();
  rmSync(directory, {recursive: true});
  return texts;
}
