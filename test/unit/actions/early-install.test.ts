import {mkdirSync, readdirSync, readFileSync} from 'node:fs';
import type {ServerResponse} from 'node:http';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {gzipSync} from 'node:zlib';
import {pack} from 'tar-stream';
import {afterEach, beforeEach, expect, test} from 'vitest';
import type {ActionContext, ProgressUpdate} from '../../../src/actions/context.ts';
import {type ImportOptions, importImage} from '../../../src/actions/import.ts';
import type {ImageManifest} from '../../../src/manifest/manifest.ts';
import {type Loopback, startLoopback} from '../../loopback.ts';
import {ActionWorld} from '../../support/action-world.ts';
import {type BareImage, bareImage} from '../../support/bare-imgapi.ts';

const mebibyte = 1024 * 1024;
let world: ActionWorld;
let server: Loopback;
let offered: BareImage[];
/** What is done with a request for a file, one after the other; then it is sent whole. */
let answers: ((response: ServerResponse, content: Buffer) => unknown)[];

beforeEach(async () => {
  world = new ActionWorld();
  mkdirSync(path.join(world.directory, 'machine'), {mode: 0o700});
  offered = [];
  answers = [];
  server = await startLoopback((request, response) => {
    const [, uuid, file] = /^\/images\/([^/?]+)(\/file)?/.exec(request.url ?? '') ?? [];
    const image = offered.find(({manifest}) => manifest.uuid === uuid);
    if (!image || !file) {
      response.writeHead(image ? 200 : 404, {'content-type': 'application/json'});
      response.end(JSON.stringify(image ? image.manifest : {code: 'ResourceNotFound', message: 'none'}));
      return;
    }
    response.setHeader('content-length', image.content.length);
    const answer = answers.shift();
    if (answer) answer(response, image.content);
    else response.end(image.content);
  });
});
afterEach(async () => {
  await server.close();
  await world.end();
});

/** A tree with a small file that comes first and some mebibytes behind it. */
async function largeTar(name: string): Promise<Buffer> {
  const archive = pack();
  archive.entry({name: 'name', mode: 0o644}, `${name}\n`);
  for (let index = 0; index < 4; index += 1) archive.entry({name: `part${index}`}, partOf(name, index));
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const headerOfPart2 = 2 * 512 + 2 * (512 + mebibyte);

/** No compression makes it small. */
function partOf(name: string, index: number): Buffer {
  const part = Buffer.alloc(mebibyte);
  let value = index + name.charCodeAt(0);
  for (let at = 0; at < part.length; at += 1) {
    value = (Math.imul(value, 1103515245) + 12345) >>> 0;
    part[at] = value >>> 16;
  }
  return part;
}

function offer(name: string, content: Buffer, more: Partial<ImageManifest> = {}): string {
  const image = bareImage(name, content, more);
  offered.push(image);
  return image.manifest.uuid;
}

/** Sends all but the last bytes, and those when asked. */
function holdBack(): {rest: () => void} {
  const {promise, resolve} = Promise.withResolvers<void>();
  answers.push(async (response, content) => {
    response.write(content.subarray(0, -5));
    await promise;
    response.end(content.subarray(-5));
  });
  return {rest: resolve};
}

/** Everything below the pool's directory. */
function below(): string[] {
  return readdirSync(path.join(world.directory, 'machine'), {recursive: true}) as string[];
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(5);
}

async function importIt(uuid: string, changes: Partial<ActionContext> = {}): Promise<unknown> {
  return await importImage(await world.context([server.url], changes), {text: uuid});
}

test.each([
  ['plain', (tar: Buffer) => tar],
  ['compressed', (tar: Buffer) => gzipSync(tar)],
])('a %s tree is unpacked while it arrives, and seen when it was verified', async (_name, packed) => {
  const uuid = offer('a', packed(await largeTar('a')));
  const seen: ProgressUpdate['phase'][] = [];
  const context = await world.context([server.url]);
  const report = {...context.report, progress: ({phase}: ProgressUpdate) => void seen.push(phase)};
  const held = holdBack();
  const imported = importImage({...context, report}, {text: uuid});
  await until(() => below().some((name) => name.endsWith('/part1')));
  expect([world.stored().includes(uuid), world.recordNames()]).toEqual([false, []]);
  expect(new Set(seen)).toEqual(new Set(['resolve', 'download']));
  held.rest();
  await imported;
  expect(world.stored()).toEqual([uuid]);
  expect(readFileSync(path.join(world.directory, 'machine', uuid, 'part3')).equals(partOf('a', 3))).toBe(
    true,
  );
  const steps = seen.filter((phase, index) => phase !== seen[index - 1]);
  expect(steps).toEqual(['resolve', 'download', 'wait', 'unpack', 'commit']);
  expect((await context.records.find(uuid))?.digests).toMatchObject({
    sizeBytes: offered[0]?.content.length,
    sha1: offered[0]?.manifest.files?.[0]?.sha1,
  });
});

test('bytes that are not those of the manifest leave nothing, however well they unpack', async () => {
  const [right, other] = [await largeTar('a'), await largeTar('b')];
  const uuid = offer('a', right);
  answers.push((response) => response.end(other));
  await expect(importIt(uuid)).rejects.toMatchObject({code: 'DownloadError', message: /checksum/});
  expect([world.stored(), world.recordNames()]).toEqual([[], []]);
  await importIt(uuid);
  expect(readFileSync(path.join(world.directory, 'machine', uuid, 'name'), 'utf8')).toBe('a\n');
});

test('a download that begins anew takes along what was made of the bytes before', async () => {
  const [right, other] = [await largeTar('a'), await largeTar('b')];
  const uuid = offer('a', right);
  answers.push((response) => {
    response.write(other.subarray(0, 3 * mebibyte), () => response.destroy());
  });
  await expect(importIt(uuid)).rejects.toMatchObject({code: 'DownloadError'});
  expect(world.stored()).toEqual([]);
  // The server knows no ranges: what is there of the file is given up for the whole of it, and is half unpacked by then.
  answers.push(async (response, content) => {
    await until(() => below().some((name) => name.endsWith('/part1')));
    response.end(content);
  });
  await importIt(uuid);
  expect(server.requests.filter((line) => line.endsWith('/file'))).toHaveLength(2);
  expect(readFileSync(path.join(world.directory, 'machine', uuid, 'name'), 'utf8')).toBe('a\n');
  expect(world.stored()).toEqual([uuid]);
});

test('Ctrl-C ends both, and keeps what came', async () => {
  const uuid = offer('a', await largeTar('a'));
  const controller = new AbortController();
  holdBack();
  const imported = importIt(uuid, {signal: controller.signal});
  await until(() => below().some((name) => name.endsWith('/part1')));
  controller.abort('SIGINT');
  await expect(imported).rejects.toMatchObject({code: 'Interrupted'});
  expect(world.stored()).toEqual([]);
  const kept = readdirSync(path.join(world.directory, 'cache/downloads'));
  expect(kept.some((name) => name.endsWith('.partial'))).toBe(true);
});

test('what cannot be unpacked is told once the file was verified, and its progress ends', async () => {
  const damaged = await largeTar('a');
  damaged.fill(0xff, headerOfPart2, headerOfPart2 + 512);
  const uuid = offer('a', damaged);
  const context = await world.context([server.url]);
  const ended: [string, boolean][] = [];
  const report = {
    ...context.report,
    progressEnd: (...end: [string, boolean]) => void ended.push(end),
  };
  const held = holdBack();
  const imported = importImage({...context, report}, {text: uuid});
  const outcome = expect(imported).rejects.toMatchObject({code: 'InvalidArchive'});
  await until(() => world.stored().length > 0);
  await until(() => world.stored().length === 0); // the engine has given up
  const before = ended.length;
  held.rest();
  await outcome;
  expect(ended.slice(before)).toEqual([[uuid, false]]);
  expect([world.stored(), world.recordNames()]).toEqual([[], []]);
});

const disk = Buffer.alloc(2 * mebibyte, 'disk');
test.each<[what: string, content: () => Promise<Buffer>, calls: string[], options?: Partial<ImportOptions>]>([
  ['a plain tree', () => largeTar('a'), ['importArriving']],
  ['a compressed disk', async () => gzipSync(disk), ['importArriving']],
  ['a plain disk, whose blocks may be shared', async () => disk, ['import']],
  ['a tree that was said to be plain', () => largeTar('a'), ['import'], {isPlain: true}],
])('%s', async (_what, content, calls, options = {}) => {
  const uuid = offer('a', await content());
  const context = await world.context([server.url]);
  const called: string[] = [];
  const engine = new Proxy(context.engine, {
    get: (target, name) => {
      const member = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        if (/^import/.test(String(name))) called.push(String(name));
        return member.apply(target, args);
      };
    },
  });
  await importImage({...context, engine}, {...options, text: uuid});
  expect(called).toEqual(calls);
});

test('of a chain the first is unpacked while it arrives, and the others over it', async () => {
  const base = offer('a', await largeTar('a'));
  const child = offer('child', await largeTar('c'), {origin: base});
  const held = holdBack();
  const imported = importIt(child);
  await until(() => below().some((name) => name.endsWith('/part1')));
  held.rest();
  await imported;
  expect(world.stored()).toEqual([base, child].sort());
});
