import {createHash} from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import {request as httpRequest} from 'node:http';
import {connect as connectSocket} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {Readable} from 'node:stream';
import {buffer} from 'node:stream/consumers';
import {gzipSync} from 'node:zlib';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {HttpClient} from '../../../src/http/http-client.ts';
import {ImgapiClient} from '../../../src/imgapi/imgapi-client.ts';
import type {ImageManifest} from '../../../src/manifest/manifest.ts';
import {
  createImageServer,
  type ImageServer,
  type ImageServerOptions,
} from '../../../src/server/image-server.ts';

const uuid = 'aaaaaaaa-1111-4000-8000-000000000001';
const other = 'aaaaaaaa-1111-4000-8000-000000000002';
const content = Buffer.alloc(2_500_000, 'image content ');
const sha1 = createHash('sha1').update(content).digest('hex');
const manifest: ImageManifest = {
  v: 2,
  uuid,
  name: 'sample',
  version: '1',
  type: 'other',
  os: 'linux',
  public: true,
};

const cleanups: (() => unknown)[] = [];
let directory: string;
let warnings: string[];

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-server-'));
  cleanups.push(() => rmSync(directory, {recursive: true}));
  warnings = [];
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: Partial<ImageServerOptions> = {}): Promise<{url: string; server: ImageServer}> {
  const logger = {info: () => undefined, warn: (text: string) => warnings.push(text)};
  const server = await createImageServer({directory, logger, ...options});
  const {url} = await server.listen({host: '127.0.0.1', port: 0});
  cleanups.push(() => server.close());
  return {url, server};
}

function clientOf(url: string): ImgapiClient {
  const http = new HttpClient({userAgent: 'imgctl-test', retries: {count: 0}});
  cleanups.push(() => http.close());
  return new ImgapiClient(http, url);
}

async function publish(client: ImgapiClient, image = manifest, bytes = content): Promise<void> {
  await client.importImage(image);
  await client.addFile(image.uuid, fileOf(bytes));
  await client.activate(image.uuid);
}

function fileOf(bytes: Buffer) {
  const digest = createHash('sha1').update(bytes).digest('hex');
  return {
    body: () => Readable.from([bytes]),
    sizeBytes: bytes.length,
    sha1: digest,
    compression: 'none',
  } as const;
}

function kept(): string[] {
  return readdirSync(path.join(directory, 'images'), {recursive: true}).map(String).sort();
}

/** The outcome of a request that the client of ours would not send. */
function raw(
  url: string,
  options: {method?: string; headers?: Record<string, string>; body?: Buffer | string} = {},
): Promise<{status: number; headers: Record<string, unknown>; body: Buffer}> {
  return new Promise((resolve, reject) => {
    const {method = 'GET', headers = {}, body} = options;
    const request = httpRequest(url, {method, headers, agent: false}, async (response) => {
      resolve({status: response.statusCode ?? 0, headers: response.headers, body: await buffer(response)});
    });
    request.once('error', reject);
    request.end(body);
  });
}

describe('our client and our server', () => {
  test('publish, list, find and read an image; the directory is plain and whole', async () => {
    const {url} = await start();
    const client = clientOf(url);
    await client.ping();
    await publish(client);
    expect(await client.listImages()).toMatchObject({manifests: [{uuid, state: 'active', files: [{sha1}]}]});
    expect(await client.findImage(uuid)).toMatchObject({uuid, files: [{sha1, size: content.length}]});
    expect(await client.findImage(other)).toBeUndefined();
    const file = await client.openFile(uuid);
    expect(await buffer(file.body)).toEqual(content);
    expect(file.md5).toBe(createHash('md5').update(content).digest('hex'));
    expect(kept()).toEqual([uuid, `${uuid}/file`, `${uuid}/manifest.json`]);
    expect(readFileSync(path.join(directory, 'images', uuid, 'file')).equals(content)).toBe(true);
  });

  test('a long listing is one JSON array of the stated length, indented or compact', async () => {
    for (let index = 0; index < 120; index += 1) {
      const id = `aaaaaaaa-1111-4000-8000-${String(index).padStart(12, '0')}`;
      const published_at = new Date(1_600_000_000_000 + index).toISOString();
      const image = {
        ...manifest,
        uuid: id,
        description: 'zażółć\n'.repeat(index),
        state: 'active',
        published_at,
      };
      mkdirSync(path.join(directory, 'images', id), {recursive: true});
      writeFileSync(path.join(directory, 'images', id, 'manifest.json'), JSON.stringify(image));
    }
    const {url} = await start();
    for (const accept of ['application/json', 'text/plain']) {
      const {headers, body} = await raw(`${url}/images`, {headers: {accept}});
      const indent = accept === 'text/plain' ? 0 : 2;
      const images = JSON.parse(body.toString()) as ImageManifest[];
      expect(images.map(({description = ''}) => description.length)).toEqual(images.map((_, n) => n * 7));
      expect(body.toString()).toBe(JSON.stringify(images, null, indent));
      expect(headers['content-length']).toBe(String(body.length));
    }
  });

  test('a listing is only sent again after a change', async () => {
    const {url} = await start();
    const client = clientOf(url);
    await publish(client);
    const first = await client.listImages();
    const validator = first.validator!;
    expect(await client.listImages({}, {validator})).toEqual({isUnchanged: true, validator});
    expect(await client.listImages({name: 'x'}, {validator})).toMatchObject({
      isUnchanged: false,
      manifests: [],
    });
    await client.deleteImage(uuid);
    expect(await client.listImages({}, {validator})).toMatchObject({isUnchanged: false, manifests: []});
  });

  test('a download is resumed, and starts again when the file is another', async () => {
    const {url} = await start();
    const client = clientOf(url);
    await client.importImage(manifest);
    await client.addFile(uuid, fileOf(content));
    const {body, validator = ''} = await client.openFile(uuid);
    body.destroy();
    const rest = await client.openFile(uuid, {offsetBytes: 1_000_000, validator});
    expect([rest.offsetBytes, rest.totalBytes]).toEqual([1_000_000, content.length]);
    expect((await buffer(rest.body)).equals(content.subarray(1_000_000))).toBe(true);
    expect((await client.openFile(uuid, {offsetBytes: content.length, validator})).totalBytes).toBe(
      content.length,
    );
    await client.addFile(uuid, fileOf(Buffer.from('replaced')));
    const again = await client.openFile(uuid, {offsetBytes: 4, validator});
    expect([again.offsetBytes, (await buffer(again.body)).toString()]).toEqual([0, 'replaced']);
  });

  test('everything is there after a restart', async () => {
    const {url, server} = await start();
    await publish(clientOf(url));
    await server.close();
    const again = await start();
    expect(await clientOf(again.url).listImages()).toMatchObject({manifests: [{uuid, state: 'active'}]});
    const file = await clientOf(again.url).openFile(uuid);
    expect([file.validator, (await buffer(file.body)).length]).toEqual([sha1, content.length]);
    expect(warnings).toEqual([]);
  });

  test('an image others build upon is not deleted', async () => {
    const {url} = await start();
    const client = clientOf(url);
    await publish(client);
    await client.importImage({...manifest, uuid: other, origin: uuid});
    await expect(client.deleteImage(uuid)).rejects.toMatchObject({publicCode: 'ImageHasDependentImages'});
    await client.deleteImage(other);
    await client.deleteImage(uuid);
    expect(kept()).toEqual([]);
  });

  test('ten and more dependents are counted, five of them named', async () => {
    const {url} = await start();
    const client = clientOf(url);
    await client.importImage(manifest);
    const children = Array.from(
      {length: 11},
      (_, index) => `cccccccc-1111-4000-8000-${String(index).padStart(12, '0')}`,
    );
    for (const child of children) await client.importImage({...manifest, uuid: child, origin: uuid});
    await expect(client.deleteImage(uuid)).rejects.toThrow(
      `image "${uuid}" has 11 dependent incremental image(s): ${children.slice(0, 5).join(', ')}, and 6 more...`,
    );
  });
});

describe('uploads', () => {
  test('one that is cut leaves nothing, and the image can still get its file', async () => {
    const {url} = await start();
    const client = clientOf(url);
    await client.importImage(manifest);
    for (const sentBytes of [0, 1, 700_000]) {
      await new Promise<void>((resolve) => {
        const socket = connectSocket(Number(new URL(url).port), '127.0.0.1', () => {
          socket.write(
            `PUT /images/${uuid}/file?compression=none HTTP/1.1\r\nHost: x\r\nContent-Length: 2500000\r\n\r\n`,
          );
          socket.write(content.subarray(0, sentBytes), () => setTimeout(() => socket.destroy(), 30));
        });
        socket.once('close', () => resolve());
      });
      await expect.poll(kept).toEqual([uuid, `${uuid}/manifest.json`]);
    }
    await client.addFile(uuid, fileOf(content));
    await client.activate(uuid);
  });

  test('a chunked one above the limit is refused with its reason and leaves nothing', async () => {
    const {url} = await start({maxFileBytes: 1000});
    await clientOf(url).importImage(manifest);
    const target = `${url}/images/${uuid}/file?compression=none`;
    const headers = {'Transfer-Encoding': 'chunked'};
    const answer = await raw(target, {method: 'PUT', headers, body: Buffer.alloc(1001)});
    expect([answer.status, JSON.parse(answer.body.toString())]).toEqual([
      400,
      {code: 'Upload', message: 'image file size exceeds the maximum allowed size, 1000 bytes'},
    ]);
    expect(kept()).toEqual([uuid, `${uuid}/manifest.json`]);
  });

  test('two at once: one of them stands, whole', async () => {
    const {url} = await start();
    const client = clientOf(url);
    await client.importImage(manifest);
    const [a, b] = [Buffer.alloc(900_000, 'a'), Buffer.alloc(800_000, 'b')];
    await Promise.all([client.addFile(uuid, fileOf(a)), client.addFile(uuid, fileOf(b))]);
    const stored = (await client.findImage(uuid)) as ImageManifest;
    const bytes = await buffer((await client.openFile(uuid)).body);
    expect(createHash('sha1').update(bytes).digest('hex')).toBe(stored.files?.[0]?.sha1);
    expect(kept()).toEqual([uuid, `${uuid}/file`, `${uuid}/manifest.json`]);
  });

  test('one that is overtaken by the activation is refused', async () => {
    const {url} = await start();
    const client = clientOf(url);
    await client.importImage(manifest);
    await client.addFile(uuid, fileOf(Buffer.from('first')));
    let finish: () => void = () => undefined;
    const waiting = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const late = Buffer.from('second');
    const body = () =>
      Readable.from(
        (async function* () {
          yield late.subarray(0, 3);
          await waiting;
          yield late.subarray(3);
        })(),
      );
    const upload = client.addFile(uuid, {...fileOf(late), body});
    await expect.poll(() => kept().some((name) => name.startsWith('.tmp-'))).toBe(true);
    await client.activate(uuid);
    finish();
    await expect(upload).rejects.toMatchObject({publicCode: 'ImageFilesImmutable'});
    expect((await buffer((await client.openFile(uuid)).body)).toString()).toBe('first');
    expect(kept()).toEqual([uuid, `${uuid}/file`, `${uuid}/manifest.json`]);
  });

  test('a wrong sha1 and an empty file are refused in the words of the protocol', async () => {
    const {url} = await start();
    const client = clientOf(url);
    await client.importImage(manifest);
    const wrong = '0'.repeat(40);
    await expect(client.addFile(uuid, {...fileOf(content), sha1: wrong})).rejects.toThrow(
      `${url}: "sha1" hash, ${wrong}, does not match the uploaded file sha1 hash, ${sha1}`,
    );
    await expect(client.addFile(uuid, fileOf(Buffer.alloc(0)))).rejects.toThrow(
      'empty files are not allowed',
    );
    expect(kept()).toEqual([uuid, `${uuid}/manifest.json`]);
  });
});

describe('a directory', () => {
  test('loses what a crash left behind', async () => {
    mkdirSync(path.join(directory, 'images', '.tmp-1'), {recursive: true});
    writeFileSync(path.join(directory, 'images', '.tmp-1', 'manifest.json'), '{}');
    writeFileSync(path.join(directory, 'images', '.tmp-2'), 'half a file');
    await start();
    expect(kept()).toEqual([]);
  });

  test('may be filled by hand; what is not whole is left out with a warning', async () => {
    const images = path.join(directory, 'images');
    const file = {sha1: createHash('sha1').update('abc').digest('hex'), size: 3, compression: 'none'};
    const byHand = {...manifest, state: 'active', published_at: '2020-01-01T00:00:00Z', files: [file]};
    for (const [name, text] of Object.entries({[uuid]: JSON.stringify(byHand), [other]: '{"broken'})) {
      mkdirSync(path.join(images, name), {recursive: true});
      writeFileSync(path.join(images, name, 'manifest.json'), text);
    }
    writeFileSync(path.join(images, uuid, 'file'), 'abc');
    const {url} = await start();
    const client = clientOf(url);
    expect(await client.listImages()).toMatchObject({manifests: [{uuid}]});
    const served = await client.openFile(uuid);
    expect([(await buffer(served.body)).toString(), served.md5]).toEqual(['abc', undefined]);
    expect(warnings).toEqual([expect.stringContaining(`image ${other} is left out: `)]);
  });

  test('with a file of the wrong size serves the image without it', async () => {
    const {url, server} = await start();
    await publish(clientOf(url));
    await server.close();
    truncateSync(path.join(directory, 'images', uuid, 'file'), 10);
    const again = await start();
    await expect(clientOf(again.url).openFile(uuid)).rejects.toMatchObject({publicCode: 'ResourceNotFound'});
    expect(warnings).toEqual([
      `file of image ${uuid} is left out: it has 10 bytes instead of ${content.length}`,
    ]);
  });

  test('whose file shrinks under the server shows as a cut connection, not as a short file', async () => {
    const {url} = await start();
    await publish(clientOf(url));
    truncateSync(path.join(directory, 'images', uuid, 'file'), 10);
    const file = await clientOf(url).openFile(uuid);
    await expect(buffer(file.body)).rejects.toMatchObject({code: 'ClientError'});
  });
});

describe('requests', () => {
  test('HEAD tells the size without the bytes', async () => {
    const {url} = await start();
    await publish(clientOf(url));
    const answer = await raw(`${url}/images/${uuid}/file`, {method: 'HEAD'});
    expect([answer.status, answer.headers['content-length'], answer.body.length]).toEqual([
      200,
      String(content.length),
      0,
    ]);
  });

  test.each([
    ['a body above the limit', Buffer.alloc(1024 * 1024 + 1, ' '), {}, 413, 'RequestEntityTooLarge'],
    [
      'a body that grows',
      gzipSync(Buffer.alloc(2_000_000, ' ')),
      {'Content-Encoding': 'gzip'},
      413,
      'RequestEntityTooLarge',
    ],
    ['a wrong Content-MD5', '{}', {'Content-MD5': 'AAAA'}, 400, 'BadDigest'],
    ['no JSON', '{', {}, 400, 'InvalidContent'],
    ['no object', '[]', {}, 422, 'InvalidParameter'],
    ['no body', '', {}, 422, 'ValidationFailed'],
    [
      'no owner',
      JSON.stringify({name: 'a', version: '1', type: 'other', os: 'other', public: true}),
      {},
      422,
      'ValidationFailed',
    ],
  ])('CreateImage refuses %s', async (_what, body, headers, status, code) => {
    const {url} = await start();
    const answer = await raw(`${url}/images`, {method: 'POST', body, headers});
    expect([answer.status, JSON.parse(answer.body.toString()).code]).toEqual([status, code]);
    expect(kept()).toEqual([]);
  });

  test('no path leads out of the directory', async () => {
    writeFileSync(path.join(directory, 'secret'), 'secret');
    const {url} = await start();
    for (const target of ['/images/../../secret', '/images/..%2f..%2fsecret/file', '/images/%2e%2e/file']) {
      const answer = await raw(url + target);
      expect(answer.status).toBe(404);
    }
  });

  test('the request id comes back', async () => {
    const {url} = await start();
    const answer = await raw(`${url}/ping`, {headers: {'x-request-id': 'mine'}});
    expect(answer.headers['x-request-id']).toBe('mine');
  });

  test('a private server takes private images only', async () => {
    const {url} = await start({mode: 'private'});
    const client = clientOf(url);
    await expect(client.importImage(manifest)).rejects.toThrow(
      'public images are not allowed on a private Images API',
    );
    await client.importImage({...manifest, public: false});
  });

  test('a sorted and limited listing begins at the right end', async () => {
    const {url} = await start();
    const client = clientOf(url);
    for (const [id, year] of [
      [uuid, '2020'],
      [other, '2021'],
    ] as const) {
      await publish(
        client,
        {...manifest, uuid: id, published_at: `${year}-01-01T00:00:00Z`},
        Buffer.from('x'),
      );
    }
    const listed = async (query: Record<string, string>) => {
      const listing = await client.listImages(query);
      return 'manifests' in listing ? listing.manifests.map((image) => image.uuid) : [];
    };
    expect(await listed({limit: '1'})).toEqual([uuid]);
    expect(await listed({limit: '1', sort: 'published_at.desc'})).toEqual([other]);
    expect(await listed({marker: '2020-06-01'})).toEqual([other]);
    await expect(client.listImages({marker: 'aaaaaaaa-1111-4000-8000-000000000009'})).rejects.toThrow(
      'not found',
    );
    await expect(client.listImages({marker: 'nonsense'})).rejects.toThrow('invalid marker: "nonsense"');
    await expect(client.listImages({public: 'maybe'})).rejects.toThrow('is not a boolean');
  });

  test('closing the server lets a download finish', async () => {
    const {url, server} = await start();
    const client = clientOf(url);
    await publish(client);
    const file = await client.openFile(uuid);
    const closed = server.close();
    expect((await buffer(file.body)).length).toBe(content.length);
    await closed;
  });
});
