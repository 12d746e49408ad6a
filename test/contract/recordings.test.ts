/**
 * Recorded exchanges with reference servers, both ways (test/fixtures, imgapi-recorded): our server is sent what they
 * were sent and has to answer alike, our client gets what they answered and has to draw the right conclusion.
 */
import {createHash} from 'node:crypto';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {ImgctlError} from '../../src/errors.ts';
import {HttpClient} from '../../src/http/http-client.ts';
import {ImgapiClient} from '../../src/imgapi/imgapi-client.ts';
import type {ImageManifest} from '../../src/manifest/manifest.ts';
import {createImageServer} from '../../src/server/image-server.ts';
import type {ServerMode} from '../../src/server/server-context.ts';
import {fixturePath} from '../fixtures-dir.ts';
import {type ClientCall, clientCall} from './client-calls.ts';
import {type RecordedServer, startRecordedServer} from './recorded-answers.ts';
import {
  bodyBytes,
  type ReceivedAnswer,
  type RecordedExchange,
  readRecording,
  replay,
} from './recorded-exchanges.ts';
import {clientDeviations, serverAnswers, serverDeviations} from './recording-deviations.ts';

interface Recording {
  file: string;
  /** Of several recorded in one file. */
  recordedServer?: string;
  mode?: ServerMode;
  /** Listings of what was there before. */
  seedFrom?: string[];
}

/** All but the data centre's; our server does not pose as dsapid. */
const recordings: Recording[] = [
  {file: 'ping-and-routes', mode: 'public'},
  {file: 'accept-version', mode: 'public'},
  {file: 'conditional-requests', mode: 'public'},
  {file: 'create-bodies', mode: 'public'},
  {file: 'create-validation', mode: 'public'},
  {file: 'import', mode: 'public'},
  {file: 'lifecycle-gzip', mode: 'public'},
  {file: 'list-filters', mode: 'public', seedFrom: ['list-filters#001']},
  {file: 'origin-incremental', mode: 'public'},
  {file: 'upload-compressions', mode: 'public'},
  {file: 'upload-errors', mode: 'public'},
  {file: 'update-active', mode: 'public'},
  {file: 'icon', mode: 'public'},
  {file: 'channels', mode: 'public'},
  {file: 'server-crashes', mode: 'public'},
  {file: 'acl-private-mode', mode: 'private', seedFrom: ['acl-private-mode#018']},
  {file: 'import-source-export-admin', mode: 'public'},
  {file: 'http-signature', mode: 'public', seedFrom: ['http-signature#041']},
  {file: 'lifecycle-signed', mode: 'public'},
  {file: 'list-signed-vs-anonymous', mode: 'public', seedFrom: ['list-signed-vs-anonymous#001']},
  {file: 'client-library', mode: 'public', seedFrom: ['client-library#010', 'client-library#011']},
  {file: 'client-cli', recordedServer: 'public-signed', mode: 'public', seedFrom: ['client-cli#003']},
  {file: 'client-cli', recordedServer: 'public-channels-signed', mode: 'public'},
  {file: 'other-server-dsapid'},
];

/** What the recorded servers with channels were configured with. */
const channels = [
  {name: 'dev', description: 'all development builds', default: true},
  {name: 'staging', description: 'builds under test for the next release'},
  {name: 'release', description: 'released builds'},
];

/** What needs a workflow service. */
function isOutOfScope({request: {method, target}}: RecordedExchange): boolean {
  const [, query = ''] = target.split('?');
  const action = new URLSearchParams(query).get('action') ?? '';
  return method === 'POST' && action === 'import-remote';
}

/** Of the one key whose public half was kept with the recordings. */
const recordedKey = (
  JSON.parse(readFileSync(fixturePath('fixtures', 'imgapi-recorded', 'signing-vectors.json'), 'utf8')) as {
    public_key_openssh: string;
  }
).public_key_openssh;

/** A client that uploads and activates at once was recorded in the order in which the requests ended. */
function uploadsFirst(exchanges: RecordedExchange[]): RecordedExchange[] {
  const ordered = [...exchanges];
  for (const [index, {request, response}] of exchanges.entries()) {
    const before = exchanges[index - 1];
    const isLate = before?.request.target.endsWith('action=activate') && before.response?.status === 200;
    if (!isLate || request.method !== 'PUT' || response?.status !== 200) continue;
    ordered.splice(index - 1, 2, exchanges[index]!, before!);
  }
  return ordered;
}

/** When the recorded server answered, to the second. */
function recordedAt({response}: RecordedExchange): Date {
  const [, date] = response?.headers.find(([name]) => name.toLowerCase() === 'date') ?? [];
  return date === undefined ? new Date() : new Date(date);
}

/** Compared where recorded; `Last-Modified` by presence only. */
const comparedHeaders = ['content-type', 'content-length', 'content-md5', 'allow', 'location', 'etag'];
const commonHeaders = ['date', 'server', 'x-request-id', 'x-response-time', 'x-server-name', 'connection'];

/** Every exchange that was looked at, with what differed in either direction. */
const differences = new Map<string, string[]>();
const reviewed = {...serverDeviations, ...serverAnswers, ...clientDeviations};

function judge(side: 'server' | 'client', {id}: RecordedExchange, found: string[]): void {
  const known = differences.get(id) ?? [];
  differences.set(id, [...known, ...found.map((text) => `${id} ${side}: ${text}`)]);
}

/** What nobody has reviewed. */
function unexplained(
  file: string,
  side: 'server' | 'client',
  deviations: Readonly<Record<string, unknown>>,
): string[] {
  const all = [...differences].flatMap(([id, found]) => (deviations[id] === undefined ? found : []));
  return all.filter((text) => text.startsWith(`${file}#`) && text.includes(` ${side}: `));
}

describe.each(recordings.filter(({mode}) => mode !== undefined))(
  'server: $file',
  ({file, recordedServer, mode, seedFrom}) => {
    test('is answered as recorded', async () => {
      const recorded = readRecording(file);
      const exchanges = uploadsFirst(
        recorded.filter(({server}) => recordedServer === undefined || server === recordedServer),
      );
      const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-contract-'));
      if (seedFrom !== undefined) seed(directory, exchanges, seedFrom);
      if (exchanges.some(({server}) => server.startsWith('public-channels'))) {
        writeFileSync(path.join(directory, 'channels.json'), JSON.stringify(channels));
      }
      const usersFile = path.join(directory, 'users.json');
      const isSigned = exchanges.some(({server}) => server.endsWith('-signed'));
      if (isSigned) writeFileSync(usersFile, JSON.stringify({alice: {keys: [recordedKey]}}));
      let now = new Date();
      const server = await createImageServer({
        directory,
        mode: mode!,
        ...(isSigned && {usersFile}),
        now: () => now,
      });
      const {url} = await server.listen({host: '127.0.0.1', port: 0});
      const names = new NameMap();
      try {
        for (const exchange of exchanges) {
          if (isOutOfScope(exchange)) continue;
          now = recordedAt(exchange);
          const answer = await replay(exchange, url, (text) => names.apply(text));
          judge('server', exchange, serverDifferences(exchange, answer, names));
        }
      } finally {
        await server.close();
        rmSync(directory, {recursive: true});
      }
      expect(unexplained(file, 'server', {...serverDeviations, ...serverAnswers})).toEqual([]);
    });
  },
);

describe.each(recordings.filter(({recordedServer = 'public-signed'}) => recordedServer === 'public-signed'))(
  'client: $file',
  ({file}) => {
    let server: RecordedServer;
    beforeAll(async () => {
      server = await startRecordedServer();
    });
    afterAll(() => server.close());

    test('is understood as recorded', async () => {
      for (const exchange of readRecording(file)) {
        const call = clientCall(exchange);
        if (call !== undefined) judge('client', exchange, await clientDifferences(exchange, call, server));
      }
      expect(unexplained(file, 'client', clientDeviations)).toEqual([]);
    });
  },
);

test('every reviewed deviation is one', ({task}) => {
  const agreeing = [...differences].filter(([, found]) => found.length === 0).map(([id]) => id);
  expect(Object.keys(reviewed).filter((id) => agreeing.includes(id) || !differences.has(id))).toEqual([]);
  const deviating = Object.keys(reviewed).length;
  task.meta.closingLine = `${agreeing.length} of ${differences.size} exchanges agree, ${deviating} reviewed deviations`;
});

function serverDifferences(
  exchange: RecordedExchange,
  answer: ReceivedAnswer | undefined,
  names: NameMap,
): string[] {
  const wanted = serverAnswers[exchange.id];
  if (exchange.response !== null) {
    return answer === undefined ? ['no answer'] : compare(exchange, answer, names);
  }
  const status = answer?.status ?? 'none';
  if (wanted?.status !== status) throw new Error(`${exchange.id}: wanted ${wanted?.status}, got ${status}`);
  return [`${exchange.outcome} was recorded`];
}

async function clientDifferences(
  exchange: RecordedExchange,
  call: ClientCall,
  server: RecordedServer,
): Promise<string[]> {
  server.play(exchange);
  const http = new HttpClient({userAgent: 'imgctl-test', retries: {count: 0}});
  const {baseQuery = ''} = call;
  const client = new ImgapiClient(http, `${server.url}${baseQuery && `/?${baseQuery}`}`);
  try {
    const value = await call.run(client).catch((error: unknown) => error);
    const [sent = ''] = server.requests.splice(0);
    const wrong = [differ('conclusion', wantedConclusion(exchange, call), conclusion(value))];
    if (exchange.request.method === 'GET') wrong.push(differ('request', shape(exchange), shapeOf(sent)));
    return wrong.filter((text) => text !== undefined);
  } finally {
    http.close();
  }
}

/** What a caller of the client learns: a value, or an error with its code and the server's items. */
function conclusion(value: unknown): string {
  if (!(value instanceof Error)) return JSON.stringify({value});
  if (!(value instanceof ImgctlError)) return `unclassified ${value.stack}`;
  const {publicCode: code, items = []} = value as ImgctlError & {items?: unknown[]};
  return JSON.stringify({code, items});
}

function wantedConclusion(exchange: RecordedExchange, call: ClientCall): string {
  const {response} = exchange;
  const {success, absent = [], failure, value} = call;
  if (response !== null && success.includes(response.status)) return JSON.stringify({value: value(exchange)});
  if (response !== null && absent.includes(response.status)) return JSON.stringify({value: undefined});
  if (failure !== undefined) return JSON.stringify({code: failure, items: []});
  if (response === null) return JSON.stringify({code: 'ClientError', items: []});
  const {code = 'InternalError', errors = []} = fieldsOf(response.body.data) as {
    code?: string;
    errors?: unknown[];
  };
  return JSON.stringify({code, items: errors});
}

function shape({request: {method, target}}: RecordedExchange): string {
  return shapeOf(`${method} ${target}`);
}

/** A request line without what may differ in writing: order and escapes of the query. */
function shapeOf(line: string): string {
  const [target = '', search = ''] = line.split(/\?(.*)/s);
  return `${target} ${[...new URLSearchParams(search)]
    .map((pair) => pair.join('='))
    .sort()
    .join('&')}`;
}

function compare(exchange: RecordedExchange, answer: ReceivedAnswer, names: NameMap): string[] {
  const recorded = exchange.response!;
  const headers = new Map(recorded.headers.map(([name, value]) => [name.toLowerCase(), value]));
  names.learn(recorded.body.data, answer.body.toString());
  for (const name of ['etag', 'last-modified'] as const)
    names.learnPair(headers.get(name), answer.headers[name]);
  const mask = (text: string): string =>
    exchange.request.target.startsWith('/ping') ? maskUuids(maskVolatile(text)) : text;
  const wanted =
    recorded.body.encoding === 'base64' ? bodyBytes(recorded.body) : names.apply(recorded.body.data);
  const found = [
    differ('status', recorded.status, answer.status),
    differ('body', mask(wanted.toString()), mask(answer.body.toString())),
    ...comparedHeaders
      .filter((name) => headers.has(name) && !(name === 'content-length' && hasPid(recorded.body.data)))
      .map((name) => differ(name, names.apply(headers.get(name) ?? ''), String(answer.headers[name]))),
    differ('last-modified', headers.has('last-modified'), answer.headers['last-modified'] !== undefined),
    ...commonHeaders.map((name) => differ(name, true, answer.headers[name] !== undefined)),
    tagProblem(answer),
  ];
  return found.filter((text) => text !== undefined);
}

function differ(what: string, wanted: unknown, got: unknown): string | undefined {
  return wanted === got ? undefined : `${what}: wanted ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`;
}

/** The Etag of a manifest is the SHA-1 of its compact JSON. */
function tagProblem({headers, body}: ReceivedAnswer): string | undefined {
  if (headers['content-type'] !== 'application/json' || headers.etag === undefined || body.length === 0) {
    return undefined;
  }
  const json = JSON.parse(body.toString());
  if (Array.isArray(json)) return undefined;
  return differ(
    'etag of the body',
    createHash('sha1').update(JSON.stringify(json)).digest('hex'),
    headers.etag,
  );
}

/** A process identifier has as many digits as it likes. */
function hasPid(text: string): boolean {
  return text.includes('"pid": ');
}

/** The process. */
function maskVolatile(text: string): string {
  return text.replace(/"pid": \d+/, '"pid": 1');
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

/** Images that were there before a recording began: those its listings show, and the marker that is not listed. */
function seed(directory: string, exchanges: RecordedExchange[], ids: readonly string[]): void {
  const listings = exchanges.filter((exchange) => ids.includes(exchange.id));
  const made = new Set(
    exchanges
      .filter(({request}) => request.method === 'POST' && !request.target.includes('action='))
      .map(({response}) => fieldsOf(response?.body.data ?? '').uuid),
  );
  const listed = listings.flatMap(({response}) => JSON.parse(response!.body.data) as ImageManifest[]);
  const manifests = listed.filter(({uuid}) => !made.has(uuid));
  const isSigned = exchanges.some(({server}) => server.endsWith('-signed'));
  const unlisted = {...manifests[0]!, uuid: 'c4d971e0-285b-418f-888a-ff15edea6bff', state: 'unactivated'};
  const {published_at: _, ...marker} = unlisted;
  for (const manifest of isSigned ? manifests : [...manifests, marker]) {
    const folder = path.join(directory, 'images', manifest.uuid);
    mkdirSync(folder, {recursive: true});
    const {bytes, contentMD5} = recordedFile(exchanges, manifest);
    const files = manifest.files?.map((file) => ({...file, ...(contentMD5 !== undefined && {contentMD5})}));
    writeFileSync(path.join(folder, 'manifest.json'), JSON.stringify({...manifest, files}));
    writeFileSync(path.join(folder, 'file'), bytes);
  }
}

/** The file as a client of the recording got it; else as many zeros. */
function recordedFile(
  exchanges: RecordedExchange[],
  {uuid, files}: ImageManifest,
): {bytes: Buffer; contentMD5?: string} {
  const found = exchanges.find(({request, response}) => {
    return request.method === 'GET' && request.target === `/images/${uuid}/file` && response?.status === 200;
  });
  if (!found) return {bytes: Buffer.alloc(files?.[0]?.size ?? 0)};
  const bytes = bodyBytes(found.response!.body);
  return {bytes, contentMD5: createHash('md5').update(bytes).digest('base64')};
}
