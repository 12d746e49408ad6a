import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {createInterface} from 'node:readline';
import {text} from 'node:stream/consumers';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import type {FetchProgress} from '../../../src/downloads/cached-file.ts';
import type {HttpClient} from '../../../src/http/http-client.ts';
import {fetchRequest, openCache, openHttp} from '../../support/fetches.ts';
import {type FileServer, pattern, sha1Of, startFileServer} from '../../support/file-server.ts';

const content = pattern(400_000);
const expected = {sizeBytes: content.length, sha1: sha1Of(content)};
const key = `sha1-${expected.sha1}-${expected.sizeBytes}`;

let directory: string;
let server: FileServer;
let http: HttpClient;
const children: ChildProcess[] = [];

beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-downloads-'));
  server = await startFileServer(content);
  http = openHttp();
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  http.close();
  await server.close();
  rmSync(directory, {recursive: true, force: true});
});

interface Line {
  progress?: FetchProgress;
  file?: {sha1: string; reusedBytes: number};
  error?: {code: string; message: string};
}

function startChild(): ChildProcess {
  const script = path.join(import.meta.dirname, '../../support/fetch-child.ts');
  const parameters = [directory, server.url, expected.sha1, String(expected.sizeBytes)];
  const child = spawn(process.execPath, [script, ...parameters], {stdio: ['ignore', 'pipe', 'inherit']});
  children.push(child);
  return child;
}

async function lastLine(child: ChildProcess): Promise<Line> {
  const output = await text(child.stdout as NodeJS.ReadableStream & AsyncIterable<Buffer>);
  return JSON.parse(output.trim().split('\n').at(-1) ?? '{}');
}

/** Resolves with the first progress of that phase for which `is` holds. */
async function untilProgress(
  child: ChildProcess,
  phase: FetchProgress['phase'],
  is = (_: FetchProgress) => true,
): Promise<FetchProgress> {
  for await (const line of createInterface({input: child.stdout as NodeJS.ReadableStream})) {
    const {progress} = JSON.parse(line) as Line;
    if (progress?.phase === phase && is(progress)) return progress;
  }
  throw new Error('the child ended first');
}

describe('a file that several processes want', () => {
  test('is continued after its process was killed', async () => {
    server.faults = [{stallAfter: 150_000}];
    const child = startChild();
    await untilProgress(child, 'download', ({doneBytes}) => doneBytes === 150_000);
    child.kill('SIGKILL');
    await once(child, 'close');
    const file = await openCache(directory).fetch(fetchRequest(http, server.url, expected));
    expect(file.reusedBytes).toBe(150_000);
    expect(readFileSync(file.path).equals(content)).toBe(true);
    expect(server.requests).toEqual([
      {range: undefined, ifRange: undefined},
      {range: 'bytes=150000-', ifRange: '"one"'},
    ]);
    await file.release();
  });

  test('is downloaded once: the second process shows the progress of the first and uses its file', async () => {
    server.faults = [{stallAfter: 150_000}];
    const first = new AbortController();
    const leader = openCache(directory).fetch(
      fetchRequest(http, server.url, expected, {signal: first.signal}),
    );
    leader.catch(() => undefined);
    await server.asked(1);
    const child = startChild();
    expect(await untilProgress(child, 'wait', ({doneBytes}) => doneBytes > 0)).toMatchObject({
      doneBytes: 150_000,
      totalBytes: content.length,
    });
    // The first gives up; the second takes over from where it was.
    const rest = lastLine(child);
    first.abort('SIGINT');
    expect((await rest).file).toMatchObject({sha1: expected.sha1, reusedBytes: 150_000});
    expect(server.requests).toHaveLength(2);
  });

  test('is taken over when the process that downloads it is killed', async () => {
    server.faults = [{stallAfter: 150_000}];
    const leader = startChild();
    await untilProgress(leader, 'download', ({doneBytes}) => doneBytes === 150_000);
    const waits: number[] = [];
    const onProgress = ({phase, doneBytes}: FetchProgress): void => {
      if (phase !== 'wait') return;
      waits.push(doneBytes);
      leader.kill('SIGKILL');
    };
    const file = await openCache(directory).fetch(fetchRequest(http, server.url, expected, {onProgress}));
    expect(file.reusedBytes).toBe(150_000);
    expect(waits[0]).toBe(150_000);
    expect(readFileSync(file.path).equals(content)).toBe(true);
    await file.release();
  });

  test('is asked for once when three processes start together', async () => {
    const ends = await Promise.all([startChild(), startChild(), startChild()].map(lastLine));
    expect(ends.map((line) => line.file?.sha1)).toEqual([expected.sha1, expected.sha1, expected.sha1]);
    expect(server.requests).toHaveLength(1);
  });

  test('may be waited for in vain: Ctrl-C ends the wait at once', async () => {
    server.faults = [{stallAfter: 1000}];
    const leader = startChild();
    await untilProgress(leader, 'download');
    const controller = new AbortController();
    const onProgress = ({phase}: FetchProgress): void => {
      if (phase === 'wait') controller.abort('SIGINT');
    };
    const waiting = openCache(directory).fetch(
      fetchRequest(http, server.url, expected, {onProgress, signal: controller.signal}),
    );
    await expect(waiting).rejects.toMatchObject({code: 'Interrupted'});
  });

  test('a fetch leaves nothing behind that keeps its process alive', async () => {
    const child = startChild();
    const start = performance.now();
    let finishedAt = 0;
    for await (const line of createInterface({input: child.stdout as NodeJS.ReadableStream})) {
      if ((JSON.parse(line) as Line).file) finishedAt = performance.now();
    }
    expect(finishedAt).toBeGreaterThan(start);
    expect(performance.now() - finishedAt).toBeLessThan(1000);
  });
});

describe('eviction', () => {
  const other = (seed: string): Buffer => pattern(100_000, seed);

  async function fetchOther(seed: string, maxBytes: number): Promise<{release(): Promise<void>}> {
    server.content = other(seed);
    const wanted = {sizeBytes: 100_000, sha1: sha1Of(server.content)};
    return openCache(directory, {maxBytes}).fetch(fetchRequest(http, server.url, wanted));
  }

  function present(...seeds: string[]): boolean[] {
    const names = readdirSync(path.join(directory, 'downloads'));
    return seeds.map((seed) => names.includes(`sha1-${sha1Of(other(seed))}-100000`));
  }

  test('takes the oldest first and never one in use, in whichever process', async () => {
    const used = await fetchOther('a', 2 ** 30);
    await (await fetchOther('b', 2 ** 30)).release();
    await (await fetchOther('c', 2 ** 30)).release();
    await (await fetchOther('d', 250_000)).release();
    expect(present('a', 'b', 'c', 'd')).toEqual([true, false, false, true]);
    await used.release();
    await (await fetchOther('e', 200_000)).release();
    expect(present('a', 'd', 'e')).toEqual([false, true, true]);
  });

  test('counts and takes partial files, their notes and locks too, and nothing foreign', async () => {
    server.faults = [{cutAfter: 50_000}];
    const failing = openCache(directory, {retries: 0}).fetch(fetchRequest(http, server.url, expected));
    await expect(failing).rejects.toMatchObject({code: 'DownloadError'});
    const downloads = path.join(directory, 'downloads');
    writeFileSync(path.join(downloads, 'README'), 'not ours');
    mkdirSync(path.join(downloads, 'lost+found'));
    await (await fetchOther('a', 120_000)).release();
    expect(present('a')).toEqual([true]);
    await (await fetchOther('b', 0)).release();
    expect(readdirSync(downloads).sort()).toEqual(['README', 'lost+found']);
  });

  test('makes room before a download, so that old files never fill the bound', async () => {
    await (await fetchOther('a', 2 ** 30)).release();
    const file = await fetchOther('b', 150_000);
    expect(present('a', 'b')).toEqual([false, true]);
    await file.release();
    expect(present('a', 'b')).toEqual([false, true]);
  });
});

describe.runIf(process.getuid?.() === 0)('a full disk', () => {
  beforeEach(() => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory]);
  });
  afterEach(() => {
    execFileSync('umount', [directory]);
  });

  test('is told before the first byte when it is known', async () => {
    const cache = openCache(directory);
    const wanted = {sizeBytes: 2 ** 21, sha1: expected.sha1};
    await expect(cache.fetch(fetchRequest(http, server.url, wanted))).rejects.toMatchObject({
      code: 'NoSpace',
      message: expect.stringMatching(
        /^not enough space in ".*\/downloads": need 2097152 bytes, have \d{6,7}$/,
      ),
      details: {needBytes: 2 ** 21},
    });
    expect(server.requests).toHaveLength(0);
  });

  test('in the middle keeps what fits, makes no wrong file, and the next run goes on', async () => {
    const filler = path.join(directory, 'filler');
    const fill = (leftBytes: number): void => {
      const {bavail, bsize} = statfsSync(directory);
      writeFileSync(filler, Buffer.alloc(bavail * bsize - leftBytes));
    };
    const onProgress = ({phase}: FetchProgress): void => {
      if (phase === 'download' && !existsSync(filler)) fill(100_000);
    };
    const cache = openCache(directory);
    await expect(cache.fetch(fetchRequest(http, server.url, expected, {onProgress}))).rejects.toMatchObject({
      code: 'NoSpace',
      message: expect.stringMatching(/^not enough space in ".*": need \d+ bytes, have \d+$/),
      retryable: true,
      cause: {code: 'ENOSPC'},
    });
    const downloads = path.join(directory, 'downloads');
    expect(readdirSync(downloads)).not.toContain(key);
    const keptBytes = statSync(path.join(downloads, `${key}.partial`)).size;
    expect(keptBytes).toBeGreaterThan(100_000);
    rmSync(filler);
    const file = await cache.fetch(fetchRequest(http, server.url, expected));
    expect(readFileSync(file.path).equals(content)).toBe(true);
    expect(file.reusedBytes).toBe(keptBytes);
    await file.release();
  });
});
