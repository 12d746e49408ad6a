import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {Readable} from 'node:stream';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import type {FetchProgress} from '../../../src/downloads/cached-file.ts';
import type {FetchRequest} from '../../../src/downloads/fetch-request.ts';
import type {HttpClient} from '../../../src/http/http-client.ts';
import {fetchRequest, openCache, openHttp, subject} from '../../support/fetches.ts';
import {type Fault, type FileServer, pattern, sha1Of, startFileServer} from '../../support/file-server.ts';

const content = pattern(300_000);
const expected = {sizeBytes: content.length, sha1: sha1Of(content)};
const key = `sha1-${expected.sha1}-${expected.sizeBytes}`;

let directory: string;
let server: FileServer;
let http: HttpClient;

beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-downloads-'));
  server = await startFileServer(content);
  http = openHttp();
});
afterEach(async () => {
  http.close();
  await server.close();
  rmSync(directory, {recursive: true, force: true});
});

function request(more: Partial<FetchRequest> = {}): FetchRequest {
  return fetchRequest(http, server.url, expected, more);
}

function left(): string[] {
  return readdirSync(path.join(directory, 'downloads')).sort();
}

function place(name: string): string {
  mkdirSync(path.join(directory, 'downloads'), {recursive: true});
  return path.join(directory, 'downloads', name);
}

/** Fetches, compares the bytes with the content, releases. */
async function fetchRight(more: Partial<FetchRequest> = {}, cache = openCache(directory)): Promise<number> {
  const file = await cache.fetch(request(more));
  expect(readFileSync(file.path).equals(content)).toBe(true);
  expect([file.sha1, file.sizeBytes]).toEqual([expected.sha1, expected.sizeBytes]);
  await file.release();
  return file.reusedBytes;
}

/** What an interrupted run leaves: the first bytes and a note. */
function leavePartial(bytes: Buffer, note: object | string | undefined): void {
  writeFileSync(place(`${key}.partial`), bytes);
  if (note !== undefined) {
    writeFileSync(place(`${key}.partial.json`), typeof note === 'string' ? note : JSON.stringify(note));
  }
}

describe('a fresh download', () => {
  test('ends as a verified file under its digest and size, and a second fetch asks nobody', async () => {
    expect(await fetchRight()).toBe(0);
    expect(left()).toEqual([key, `${key}.lock`]);
    expect(await fetchRight()).toBe(content.length);
    expect(server.requests).toHaveLength(1);
  });

  test('a cached file that was damaged is fetched anew', async () => {
    await fetchRight();
    const damaged = Buffer.from(content);
    damaged[17] = 0xff ^ (damaged[17] ?? 0);
    writeFileSync(place(key), damaged);
    expect(await fetchRight()).toBe(0);
    writeFileSync(place(key), content.subarray(1));
    expect(await fetchRight()).toBe(0);
    expect(server.requests).toHaveLength(3);
  });

  test('progress rises in each phase and ends at the total', async () => {
    leavePartial(content.subarray(0, 100_000), undefined);
    server.faults = [{cutAfter: 50_000}];
    const seen: FetchProgress[] = [];
    const fetchAndNote = () => fetchRight({onProgress: (progress) => seen.push(progress)});
    await fetchAndNote();
    const phases = [...new Set(seen.map((progress) => progress.phase))];
    expect(phases).toEqual(['verify', 'download']);
    const downloads = seen.filter((progress) => progress.phase === 'download');
    expect(downloads.every((progress) => progress.resumedAtBytes === 100_000)).toBe(true);
    const done = downloads.map((progress) => progress.doneBytes);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(done[0]).toBeGreaterThan(100_000);
    expect(done.at(-1)).toBe(content.length);
    seen.length = 0;
    await fetchAndNote();
    expect(seen.at(-1)).toMatchObject({
      phase: 'verify',
      doneBytes: content.length,
      totalBytes: content.length,
    });
  });

  test('an expected sha256 decides beside the sha1', async () => {
    const sha256 = '0'.repeat(64);
    const wanted = fetchRequest(http, server.url, {...expected, sha256});
    await expect(openCache(directory).fetch(wanted)).rejects.toMatchObject({
      code: 'DownloadError',
      message: expect.stringContaining(`file checksum (sha256) error: expected "${sha256}"`),
    });
    expect(left()).toEqual([]);
  });

  test.each([
    ['a path', {sha1: '../../../../etc/passwd'}],
    ['a path behind hex', {sha1: `${expected.sha1}/../x`}],
    ['upper case', {sha1: expected.sha1.toUpperCase()}],
    ['the length of another digest', {sha1: '0'.repeat(64)}],
    ['no digest', {}],
    ['a bad second digest', {sha1: expected.sha1, sha256: '..'}],
    ['a negative size', {sha1: expected.sha1, sizeBytes: -1}],
    ['a size that is no number', {sha1: expected.sha1, sizeBytes: Number.NaN}],
  ])('refuses %s as what is expected, without touching a file', async (_name, wrong) => {
    const wanted = fetchRequest(http, server.url, {sizeBytes: 3, ...wrong});
    await expect(openCache(directory).fetch(wanted)).rejects.toMatchObject({code: 'DownloadError'});
    expect(existsSync(path.join(directory, 'downloads'))).toBe(false);
    expect(server.requests).toHaveLength(0);
  });
});

describe('a download that breaks', () => {
  test('goes on where the body was cut, no byte twice', async () => {
    server.faults = [{cutAfter: 70_000}, {cutAfter: 30_000}];
    const retries: number[] = [];
    expect(await fetchRight({onRetry: ({attempt}) => retries.push(attempt)})).toBe(0);
    expect(server.requests).toEqual([
      {range: undefined, ifRange: undefined},
      {range: 'bytes=70000-', ifRange: '"one"'},
      {range: 'bytes=100000-', ifRange: '"one"'},
    ]);
    expect(retries).toEqual([1, 1]);
  });

  test('goes on in a later run, with the validator of the first', async () => {
    server.faults = [{cutAfter: 70_000}];
    await expect(openCache(directory, {retries: 0}).fetch(request())).rejects.toMatchObject({
      code: 'DownloadError',
      message: `image ${subject} file size error: expected 300000 bytes, downloaded 70000 bytes`,
      retryable: true,
    });
    expect(left()).toEqual([`${key}.lock`, `${key}.partial`, `${key}.partial.json`]);
    expect(await openCache(directory).presentBytes(expected)).toBe(70_000);
    expect(await fetchRight()).toBe(70_000);
    expect(server.requests[1]).toEqual({range: 'bytes=70000-', ifRange: '"one"'});
    expect(left()).toEqual([key, `${key}.lock`]);
  });

  test('a cause is told when the source gives up, and a passing one is tried as often as asked', async () => {
    server.faults = [{cutAfter: 1000}, {cutAfter: 0}, {cutAfter: 0}, {cutAfter: 0}];
    const causes: string[] = [];
    const onRetry: FetchRequest['onRetry'] = ({cause, of}) => causes.push(`${of} ${cause}`);
    const error = await openCache(directory)
      .fetch(request({onRetry}))
      .catch((caught) => caught);
    expect(error).toMatchObject({
      code: 'DownloadError',
      message: `image ${subject} file size error: expected 300000 bytes, downloaded 1000 bytes`,
      cause: {code: 'ClientError'},
    });
    expect(server.requests.length).toBeGreaterThanOrEqual(3);
    expect(causes).toHaveLength(2);
    expect(causes[0]).toMatch(/^2 http.*: Error: /);
  });

  test('a source that begins anew each time and never comes further is given up', async () => {
    server.faults = Array.from({length: 20}, () => ({ignoreRange: true, cutAfter: 70_000}));
    await expect(openCache(directory).fetch(request())).rejects.toMatchObject({
      code: 'DownloadError',
      message: `image ${subject} file size error: expected 300000 bytes, downloaded 70000 bytes`,
    });
    // The first, and one for each retry: two.
    expect(server.requests).toHaveLength(3);
  });

  test('a source that begins anew each time and comes further is asked on', async () => {
    server.faults = [10_000, 20_000, 30_000, 40_000, 50_000].map((cutAfter) => ({
      ignoreRange: true,
      cutAfter,
    }));
    expect(await fetchRight()).toBe(0);
    expect(server.requests).toHaveLength(6);
  });

  test('a source that gives a few bytes each time is given up', async () => {
    server.faults = Array.from({length: 20}, () => ({cutAfter: 100}));
    await expect(openCache(directory).fetch(request())).rejects.toMatchObject({code: 'DownloadError'});
    expect(server.requests).toHaveLength(3);
  });

  test('a source that cannot be asked at all is not asked in two loops', async () => {
    await server.close();
    const start = performance.now();
    const error = await openCache(directory, {retries: 50, retryDelayMs: 100})
      .fetch(request())
      .catch((caught) => caught);
    expect(error).toMatchObject({code: 'ClientError', retryable: true});
    expect(performance.now() - start).toBeLessThan(2000);
    server = await startFileServer(content);
  });

  test.each([
    ['ignores ranges', {}, [{ignoreRange: true}], '"one"'],
    ['has another file since', {etag: '"two"'}, [], '"one"'],
    ['has another file since and ignores the condition', {etag: '"two"'}, [{ignoreCondition: true}], '"one"'],
  ])('starts over when the source %s', async (_name, change, faults, noted) => {
    leavePartial(pattern(70_000, 'of another file'), {url: server.url, validator: noted});
    Object.assign(server, change, {faults});
    expect(await fetchRight()).toBe(0);
    expect(server.requests[0]).toEqual({range: 'bytes=70000-', ifRange: noted});
  });

  test.each([
    ['too short', pattern(70_000, 'poison')],
    ['of the right length', pattern(content.length, 'poison')],
    ['too long', pattern(content.length + 1, 'poison')],
  ])('a poisoned partial file %s costs one restart', async (_name, poison) => {
    leavePartial(poison, undefined);
    server.etag = undefined;
    expect(await fetchRight()).toBe(0);
    expect(server.requests.at(-1)?.range).toBeUndefined();
    expect(server.requests.length).toBeLessThanOrEqual(2);
  });

  test('parts of two different files, sent without validators, cost one restart', async () => {
    server.etag = undefined;
    server.content = pattern(content.length, 'before');
    server.faults = [{cutAfter: 70_000}];
    expect(await fetchRight({onRetry: () => Object.assign(server, {content})})).toBe(0);
    expect(server.requests.map(({range}) => range)).toEqual([undefined, 'bytes=70000-', undefined]);
  });

  test('a whole partial file needs no request', async () => {
    leavePartial(content, undefined);
    expect(await fetchRight()).toBe(content.length);
    expect(server.requests).toHaveLength(0);
  });

  test.each([
    ['unreadable', '{"url": 1'],
    ['of another source', {url: 'http://other.invalid', validator: '"two"'}],
    ['without a validator', {url: 'http://other.invalid'}],
  ])('a note that is %s sets no condition', async (_name, note) => {
    leavePartial(content.subarray(0, 70_000), note);
    expect(await fetchRight()).toBe(70_000);
    expect(server.requests).toEqual([{range: 'bytes=70000-', ifRange: undefined}]);
  });

  test('Ctrl-C rejects at once with Interrupted and keeps what came', async () => {
    server.faults = [{stallAfter: 70_000}];
    const controller = new AbortController();
    const onProgress = ({doneBytes}: FetchProgress) => doneBytes === 70_000 && controller.abort('SIGINT');
    const promise = openCache(directory).fetch(request({signal: controller.signal, onProgress}));
    const start = performance.now();
    await expect(promise).rejects.toMatchObject({code: 'Interrupted'});
    expect(performance.now() - start).toBeLessThan(1500);
    expect(await fetchRight()).toBe(70_000);
  });

  test('Ctrl-C also ends the wait before a retry, and the hashing of what is there', async () => {
    server.faults = [{cutAfter: 70_000}];
    const waiting = new AbortController();
    const onRetry = () => setTimeout(() => waiting.abort('SIGINT'), 5);
    const slow = openCache(directory, {retryDelayMs: 60_000});
    await expect(slow.fetch(request({signal: waiting.signal, onRetry}))).rejects.toMatchObject({
      code: 'Interrupted',
    });
    await expect(slow.fetch(request({signal: AbortSignal.abort('SIGINT')}))).rejects.toMatchObject({
      code: 'Interrupted',
    });
    expect(await fetchRight()).toBe(70_000);
  });
});

describe('a source that lies', () => {
  test('about the bytes: nothing is kept, in the words of imgadm', async () => {
    server.content = pattern(content.length, 'wrong');
    await expect(openCache(directory).fetch(request())).rejects.toMatchObject({
      code: 'DownloadError',
      message: `image ${subject} file checksum (sha1) error: expected "${expected.sha1}", downloaded checksum was "${sha1Of(server.content)}"`,
    });
    expect(left()).toEqual([]);
    expect(server.requests).toHaveLength(1);
  });

  test.each([
    ['short', {}, content.subarray(0, 58), 58],
    ['long', {}, Buffer.concat([content, content]), 600_000],
  ])('about the length, %s', async (_name, fault, sent, announced) => {
    server.content = Buffer.from(sent);
    server.faults = [fault];
    await expect(openCache(directory).fetch(request())).rejects.toMatchObject({
      code: 'DownloadError',
      message: `unexpected mismatch between expected size, 300000, and Content-Length header, ${announced}`,
    });
    expect(left().filter((name) => !name.includes('.'))).toEqual([]);
  });

  test('by not stating a length', async () => {
    server.faults = [{length: 'none'}];
    await expect(openCache(directory).fetch(request())).rejects.toMatchObject({
      code: 'DownloadError',
      message: 'unexpected missing or invalid Content-Length header: undefined',
    });
  });

  test('a refusal of the length keeps what an honest run left', async () => {
    leavePartial(content.subarray(0, 70_000), {url: server.url, validator: '"one"'});
    server.faults = [{ignoreRange: true, length: 'none'}];
    await expect(openCache(directory).fetch(request())).rejects.toMatchObject({code: 'DownloadError'});
    expect(await fetchRight()).toBe(70_000);
  });

  test('bytes behind the announced end do no harm', async () => {
    server.faults = [{more: pattern(5000, 'more')}];
    expect(await fetchRight()).toBe(0);
  });

  test('a source that hands out more than the file, or another part, is refused', async () => {
    const more = (offsetBytes: number, body: Buffer): Partial<FetchRequest> => ({
      open: async () => {
        return {body: Readable.from([body]), offsetBytes, totalBytes: content.length, validator: undefined};
      },
    });
    const cache = openCache(directory);
    await expect(cache.fetch(request(more(0, Buffer.concat([content, content]))))).rejects.toMatchObject({
      code: 'DownloadError',
      message: `image ${subject} file size error: expected 300000 bytes, but the source sent more`,
    });
    await expect(cache.fetch(request(more(7, content)))).rejects.toMatchObject({
      code: 'DownloadError',
      message: expect.stringContaining('began at byte 7'),
    });
  });

  test('a body that ends early without a word is continued, then refused', async () => {
    const open = async ({offsetBytes}: {offsetBytes: number}) => ({
      body: Readable.from(offsetBytes === 0 ? [content.subarray(0, 10)] : []),
      offsetBytes,
      totalBytes: content.length,
      validator: undefined,
    });
    await expect(openCache(directory).fetch(request({open}))).rejects.toMatchObject({
      code: 'DownloadError',
      message: `image ${subject} file size error: expected 300000 bytes, downloaded 10 bytes`,
    });
  });
});

describe('what stands in the way', () => {
  test.each([key, `${key}.partial`, `${key}.partial.json`])(
    'a link named %s is not followed',
    async (name) => {
      const victim = path.join(directory, 'victim');
      writeFileSync(victim, content.subarray(0, 100));
      symlinkSync(victim, place(name));
      await fetchRight();
      expect(readFileSync(victim).equals(content.subarray(0, 100))).toBe(true);
      expect(server.requests).toEqual([{range: undefined, ifRange: undefined}]);
    },
  );

  test('a link to the right bytes does not count as a cached file', async () => {
    writeFileSync(path.join(directory, 'elsewhere'), content);
    symlinkSync(path.join(directory, 'elsewhere'), place(key));
    await fetchRight();
    expect(server.requests).toHaveLength(1);
  });

  test('a directory gives way', async () => {
    mkdirSync(place(`${key}.partial`));
    mkdirSync(place(key));
    await fetchRight();
  });

  test('a cache directory that cannot be made is named', async () => {
    writeFileSync(path.join(directory, 'downloads'), 'a file');
    await expect(openCache(directory).fetch(request())).rejects.toMatchObject({
      code: 'FileSystem',
      message: expect.stringContaining(`cannot use download cache "${directory}/downloads": `),
    });
  });
});

test('fifty downloads, whole, resumed and refused, leave no descriptor open', async () => {
  const descriptors = (): string[] => readdirSync('/proc/self/fd');
  const cache = openCache(directory, {maxBytes: 0});
  await fetchRight({}, cache);
  http.close();
  const before = descriptors().length;
  http = openHttp();
  const faults: Fault[] = [{}, {cutAfter: 1000}, {length: 'none'}, {cutAfter: 0}];
  for (let round = 0; round < 50; round += 1) {
    server.faults = faults.slice(round % 4, (round % 4) + 1);
    await cache.fetch(request()).then(
      (file) => file.release(),
      () => undefined,
    );
  }
  http.close();
  await expect.poll(() => descriptors().length).toBeLessThanOrEqual(before);
  expect(left()).toEqual([]);
});

test('two files of one content in one process do not wait for each other', async () => {
  const cache = openCache(directory);
  const [first, second] = await Promise.all([cache.fetch(request()), cache.fetch(request())]);
  expect(server.requests).toHaveLength(1);
  await Promise.all([first.release(), second.release()]);
});
