/** Replays what a reference IMGAPI server was recorded to answer, against ours (test/fixtures, imgapi-recorded). */
import {createHash} from 'node:crypto';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, describe, expect, test} from 'vitest';
import type {ImageManifest} from '../../src/manifest/manifest.ts';
import {createImageServer} from '../../src/server/image-server.ts';
import type {ServerMode} from '../../src/server/server-context.ts';
import {deviations} from './image-server-deviations.ts';
import {
  bodyBytes,
  type ReceivedAnswer,
  type RecordedExchange,
  readRecording,
  replay,
} from './recorded-exchanges.ts';

/** The recordings made of a server without authentication and channels. */
const recordings: {file: string; mode: ServerMode; seedFrom?: string}[] = [
  {file: 'ping-and-routes', mode: 'public'},
  {file: 'conditional-requests', mode: 'public'},
  {file: 'create-bodies', mode: 'public'},
  {file: 'create-validation', mode: 'public'},
  {file: 'import', mode: 'public'},
  {file: 'lifecycle-gzip', mode: 'public'},
  {file: 'list-filters', mode: 'public', seedFrom: 'list-filters#001'},
  {file: 'origin-incremental', mode: 'public'},
  {file: 'upload-compressions', mode: 'public'},
  {file: 'upload-errors', mode: 'public'},
  {file: 'server-crashes', mode: 'public'},
  {file: 'acl-private-mode', mode: 'private', seedFrom: 'acl-private-mode#018'},
];

/** Endpoints of the reference that are not built yet, or never will be (documentation pages). */
function isOutOfScope({request: {method, target}}: RecordedExchange): boolean {
  const [pathname = '', query = ''] = target.split('?');
  const action = new URLSearchParams(query).get('action') ?? '';
  if (pathname === '/' || pathname === '/docs') return true;
  if (/^\/images\/[^/]+\/(icon|acl|jobs|file\/from-url)$/.test(pathname)) return true;
  return method === 'POST' && ['update', 'export', 'change-stor', 'import-remote'].includes(action);
}

/** Compared where recorded; `Last-Modified` by presence only. */
const comparedHeaders = ['content-type', 'content-length', 'content-md5', 'allow', 'location', 'etag'];
const commonHeaders = ['date', 'server', 'x-request-id', 'x-response-time', 'x-server-name', 'connection'];

const tally = {agree: 0, deviate: 0, unanswered: 0};
const unexplained: string[] = [];
const needless = new Set(Object.keys(deviations));
afterAll(() => {
  const total = tally.agree + tally.deviate + unexplained.length;
  console.log(`${tally.agree} of ${total} exchanges agree, ${tally.deviate} reviewed deviations`);
  console.log(`${tally.unanswered} more, to which the reference gave no answer, were survived`);
});

describe.each(recordings)('$file', ({file, mode, seedFrom}) => {
  test('is answered as recorded', async () => {
    const exchanges = readRecording(file);
    const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-contract-'));
    if (seedFrom !== undefined) seed(directory, exchanges, seedFrom);
    const server = await createImageServer({directory, mode});
    const {url} = await server.listen({host: '127.0.0.1', port: 0});
    const names = new NameMap();
    try {
      for (const exchange of exchanges) {
        if (isOutOfScope(exchange)) continue;
        const answer = await replay(exchange, url, (text) => names.apply(text));
        judge(exchange, answer, names);
      }
    } finally {
      await server.close();
      rmSync(directory, {recursive: true});
    }
    expect(unexplained.filter((text) => text.startsWith(file))).toEqual([]);
  });
});

test('no deviation is listed that is none', () => {
  expect([...needless]).toEqual([]);
});

function judge(exchange: RecordedExchange, answer: ReceivedAnswer | undefined, names: NameMap): void {
  if (exchange.response === null) {
    tally.unanswered += 1;
    return;
  }
  const differences = answer === undefined ? ['no answer'] : compare(exchange, answer, names);
  if (differences.length === 0) tally.agree += 1;
  else if (deviations[exchange.id] === undefined)
    unexplained.push(`${exchange.id} ${differences.join('; ')}`);
  else {
    tally.deviate += 1;
    needless.delete(exchange.id);
  }
}

function compare(exchange: RecordedExchange, answer: ReceivedAnswer, names: NameMap): string[] {
  const recorded = exchange.response!;
  const headers = new Map(recorded.headers.map(([name, value]) => [name.toLowerCase(), value]));
  names.learn(recorded.body.data, answer.body.toString());
  for (const name of ['etag', 'last-modified'] as const)
    names.learnPair(headers.get(name), answer.headers[name]);
  const mask = exchange.request.target.startsWith('/ping?') ? maskUuids : (text: string) => text;
  const wanted =
    recorded.body.encoding === 'base64' ? bodyBytes(recorded.body) : names.apply(recorded.body.data);
  const differences = [
    differ('status', recorded.status, answer.status),
    differ('body', mask(wanted.toString()), mask(answer.body.toString())),
    ...comparedHeaders
      .filter((name) => headers.has(name))
      .map((name) => differ(name, names.apply(headers.get(name) ?? ''), String(answer.headers[name]))),
    differ('last-modified', headers.has('last-modified'), answer.headers['last-modified'] !== undefined),
    ...commonHeaders.map((name) => differ(name, true, answer.headers[name] !== undefined)),
    tagProblem(answer),
  ];
  return differences.filter((text) => text !== undefined);
}

function differ(what: string, wanted: unknown, got: unknown): string | undefined {
  return wanted === got ? undefined : `${what}: wanted ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`;
}

/** The Etag of a manifest is the SHA-1 of its compact JSON. */
function tagProblem({headers, body}: ReceivedAnswer): string | undefined {
  if (headers['content-type'] !== 'application/json' || headers.etag === undefined) return undefined;
  const json = JSON.parse(body.toString());
  if (Array.isArray(json)) return undefined;
  return differ(
    'etag of the body',
    createHash('sha1').update(JSON.stringify(json)).digest('hex'),
    headers.etag,
  );
}

function maskUuids(text: string): string {
  return text.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'UUID');
}

/** UUIDs, dates and Etags that a server makes up: what was recorded, and what ours made instead. */
class NameMap {
  readonly #names = new Map<string, string>();

  apply(text: string): string {
    let result = text;
    for (const [recorded, ours] of this.#names) result = result.replaceAll(recorded, ours);
    return result;
  }

  learn(recorded: string, ours: string): void {
    const [a, b] = [fieldsOf(recorded), fieldsOf(ours)];
    for (const key of ['uuid', 'published_at'] as const) {
      if (typeof a[key] === 'string' && typeof b[key] === 'string') this.#add(a[key], b[key]);
    }
  }

  learnPair(recorded: string | undefined, ours: string | undefined): void {
    if (recorded !== undefined && ours !== undefined) this.#add(recorded, ours);
  }

  #add(recorded: string, ours: string): void {
    if (recorded !== ours && !this.#names.has(recorded)) this.#names.set(recorded, ours);
  }
}

function fieldsOf(text: string): Partial<ImageManifest> {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

/** Images that were there before a recording began: those its first listing shows, and the marker that is not listed. */
function seed(directory: string, exchanges: RecordedExchange[], id: string): void {
  const listing = exchanges.find((exchange) => exchange.id === id)!;
  const made = new Set(
    exchanges
      .filter(({request}) => request.method === 'POST' && !request.target.includes('action='))
      .map(({response}) => fieldsOf(response?.body.data ?? '').uuid),
  );
  const manifests = (JSON.parse(listing.response!.body.data) as ImageManifest[]).filter(
    ({uuid}) => !made.has(uuid),
  );
  const unlisted = {...manifests[0]!, uuid: 'c4d971e0-285b-418f-888a-ff15edea6bff', state: 'unactivated'};
  const {published_at: _, ...marker} = unlisted;
  for (const manifest of [...manifests, marker]) {
    const folder = path.join(directory, 'images', manifest.uuid);
    mkdirSync(folder, {recursive: true});
    writeFileSync(path.join(folder, 'manifest.json'), JSON.stringify(manifest));
    writeFileSync(path.join(folder, 'file'), Buffer.alloc(manifest.files?.[0]?.size ?? 0));
  }
}
