import {createHash} from 'node:crypto';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {type PublishResult, publishImage} from '../../../src/actions/publish.ts';
import {HttpClient} from '../../../src/http/http-client.ts';
import {ImgapiClient} from '../../../src/imgapi/imgapi-client.ts';
import {createImageServer, type ImageServer} from '../../../src/server/image-server.ts';
import {type Fault, type FaultyProxy, startFaultyProxy} from '../../support/faulty-proxy.ts';

const uuid = 'aaaaaaaa-1111-4000-8000-000000000001';
const content = Buffer.alloc(100_000, 'image');
let directory: string;
let server: ImageServer;
let url: string;
let http: HttpClient;
let proxy: FaultyProxy | undefined;
let lines: string[];
let warnings: string[];
let notices: string[];

beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-publish-'));
  server = await createImageServer({directory: path.join(directory, 'served')});
  ({url} = await server.listen({host: '127.0.0.1', port: 0}));
  http = new HttpClient({userAgent: 'imgctl-test', retries: {count: 1, baseDelayMs: 1}});
  const manifest = {
    ...{v: 2, uuid, name: 'sample', version: '1.0.0', type: 'other', os: 'linux', public: true},
    files: [
      {sha1: createHash('sha1').update(content).digest('hex'), size: content.length, compression: 'none'},
    ],
  };
  writeFileSync(path.join(directory, 'image'), content);
  writeFileSync(path.join(directory, 'image.imgmanifest'), JSON.stringify(manifest));
  [lines, warnings, notices] = [[], [], []];
});
afterEach(async () => {
  http.close();
  proxy?.close();
  proxy = undefined;
  await server.close();
  rmSync(directory, {recursive: true});
});

async function publish(
  faultOf: (line: string, count: number) => Fault,
  more: {keep?: boolean; retries?: number} = {},
): Promise<PublishResult> {
  proxy = await startFaultyProxy(url, faultOf);
  const report = {
    step: (line: string) => void lines.push(line),
    transferStep: () => undefined,
    notice: (text: string) => void notices.push(text),
    warn: (text: string) => void warnings.push(text),
    failure: () => undefined,
    expect: () => undefined,
    progress: () => undefined,
    retry: () => undefined,
    progressEnd: () => undefined,
  };
  return publishImage(
    {report, signal: new AbortController().signal, program: 'imgctl'},
    {
      manifestPath: path.join(directory, 'image.imgmanifest'),
      filePath: path.join(directory, 'image'),
      url: proxy.url,
      client: new ImgapiClient(http, proxy.url),
      keep: false,
      retries: 1,
      retryDelayMs: 1,
      ...more,
    },
  );
}

async function served(): Promise<unknown> {
  return new ImgapiClient(http, url).findImage(uuid);
}

/** Once, for the first request that matches. */
function once(pattern: RegExp, fault: Fault): (line: string) => Fault {
  let left = 1;
  return (line) => (pattern.test(line) && left-- > 0 ? fault : undefined);
}

const steps = {import: /action=import/, file: /^PUT/, activate: /action=activate/};

test.each(
  Object.entries(steps).flatMap(([step, pattern]) => {
    return (['before', 'after', 503] as const).map((fault) => ({step, pattern, fault}));
  }),
)('one fault ($fault) at $step: the image is there, once', async ({pattern, fault}) => {
  await publish(once(pattern, fault));
  expect(await served()).toMatchObject({uuid, state: 'active', files: [{size: content.length}]});
  expect(lines.map((line) => line.split(' ')[0])).toEqual(['Imported', 'Added', 'Activated', 'Successfully']);
  expect(proxy?.requests.some((line) => line.startsWith('DELETE'))).toBe(false);
  expect(warnings).toEqual([]);
});

test.each(['file', 'activate'] as const)(
  'a step that fails for good (%s) leaves no half image',
  async (step) => {
    await expect(publish((line) => (steps[step].test(line) ? 503 : undefined))).rejects.toMatchObject({
      serverCode: 'Busy',
    });
    expect(await served()).toBeUndefined();
    expect(lines.at(-1)).not.toMatch(/^Successfully/);
  },
);

async function leaveHalf(): Promise<void> {
  const keep = publish((line) => (steps.file.test(line) ? 503 : undefined), {keep: true});
  await expect(keep).rejects.toThrow('busy');
  expect(await served()).toMatchObject({state: 'unactivated'});
  proxy?.close();
}

test('a half image stays when it is to be kept, and the next publish goes on with it and says so', async () => {
  await leaveHalf();
  await publish(() => undefined);
  expect(await served()).toMatchObject({state: 'active', files: [{size: content.length}]});
  expect(notices.at(-1)).toBe(`Image ${uuid} is on the server already, not activated: going on with it`);
});

test('a half of another image under the UUID is neither touched nor hidden', async () => {
  await leaveHalf();
  const file = path.join(directory, 'image.imgmanifest');
  writeFileSync(file, readFileSync(file, 'utf8').replace('sample', 'other'));
  await expect(publish(() => undefined)).rejects.toMatchObject({
    serverCode: 'ImageUuidAlreadyExists',
    hint: expect.stringMatching(`cut off, and has another name; remove it: imgctl server delete .* ${uuid}$`),
  });
  expect(await served()).toMatchObject({name: 'sample', state: 'unactivated'});
});

test('a half that an earlier publish left is not deleted by one that fails as well', async () => {
  await leaveHalf();
  await expect(publish((line) => (steps.activate.test(line) ? 503 : undefined))).rejects.toThrow('busy');
  expect(await served()).toMatchObject({state: 'unactivated'});
  expect(warnings).toEqual([`image ${uuid} is left unactivated on the server, as it was found`]);
});

test('an image that was activated in spite of a lost answer is not deleted', async () => {
  const fault = (line: string): Fault => (steps.activate.test(line) ? 'after' : undefined);
  await expect(publish(fault, {retries: 0})).rejects.toThrow();
  expect(await served()).toMatchObject({state: 'active'});
  expect(warnings).toEqual([`image ${uuid} was activated all the same and is left on the server`]);
});

test('an image that was there is no answer to a retry, and is not deleted', async () => {
  await publish(() => undefined);
  proxy?.close();
  await expect(publish(once(steps.import, 'before'))).rejects.toMatchObject({
    serverCode: 'ImageUuidAlreadyExists',
    hint: undefined,
  });
  expect(await served()).toMatchObject({state: 'active'});
});

test('what cannot be tidied, or known, is told', async () => {
  await expect(publish((line) => (/^(PUT|DELETE)/.test(line) ? 503 : undefined))).rejects.toThrow('busy');
  expect(warnings).toEqual([expect.stringContaining(`Could not delete partially published image ${uuid}`)]);
  await new ImgapiClient(http, url).deleteImage(uuid);
  proxy?.close();
  await expect(
    publish((line) => (steps.import.test(line) ? 'after' : undefined), {retries: 0}),
  ).rejects.toThrow();
  expect(warnings.at(-1)).toContain(`image ${uuid} may be left unactivated`);
});

test('a file that is not there is told as install tells it', async () => {
  rmSync(path.join(directory, 'image'));
  await expect(publish(() => undefined)).rejects.toMatchObject({
    code: 'Usage',
    message: `file path does not exist: "${path.join(directory, 'image')}"`,
  });
  expect(proxy?.requests).toEqual([]);
});

test('a file that is not the manifest’s is found before the server hears of it', async () => {
  writeFileSync(path.join(directory, 'image'), Buffer.alloc(content.length));
  await expect(publish(() => undefined)).rejects.toThrow('image file checksum (sha1) error');
  expect(proxy?.requests).toEqual([]);
});
