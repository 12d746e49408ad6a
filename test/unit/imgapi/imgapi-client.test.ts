import {createHash} from 'node:crypto';
import type {IncomingMessage, RequestListener} from 'node:http';
import {Readable} from 'node:stream';
import {buffer, text} from 'node:stream/consumers';
import {afterEach, describe, expect, test} from 'vitest';
import {ImgctlError, ServerError} from '../../../src/errors.ts';
import {HttpClient} from '../../../src/http/http-client.ts';
import type {ImgapiClientOptions} from '../../../src/imgapi/client-types.ts';
import {ImgapiClient} from '../../../src/imgapi/imgapi-client.ts';
import {type Loopback, startLoopback} from '../../loopback.ts';

const uuid = '3e6ed30f-64c7-431d-9fee-888be6361632';
const manifest = {v: 2, uuid, name: 'a', version: '1', type: 'other', os: 'other'};
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function serve(listener: RequestListener): Promise<Loopback> {
  const loopback = await startLoopback(listener);
  cleanups.push(() => loopback.close());
  return loopback;
}

function connect(url: string, options?: ImgapiClientOptions): ImgapiClient {
  const http = new HttpClient({
    userAgent: 'imgctl-test',
    stallTimeoutMs: 300,
    retries: {count: 1, baseDelayMs: 1},
  });
  cleanups.push(() => http.close());
  return new ImgapiClient(http, url, options);
}

async function failure(promise: Promise<unknown>): Promise<ImgctlError> {
  const error = await promise.then(
    () => undefined,
    (caught) => caught,
  );
  expect(error).toBeInstanceOf(ImgctlError);
  return error as ImgctlError;
}

/** A server that answers everything alike. */
function always(status: number, body: string, headers: Record<string, string> = {}): Promise<Loopback> {
  return serve((request, response) => {
    request.resume();
    response.writeHead(status, headers).end(body);
  });
}

describe('ping', () => {
  test('is content with an IMGAPI answer', async () => {
    const server = await always(200, '{"ping":"pong","imgapi":true}');
    await connect(`${server.url}/base/?channel=dev`).ping();
    expect(server.requests).toEqual(['GET /base/ping?channel=dev']);
  });

  test('words a refused connection as imgadm does', async () => {
    const error = await failure(connect('http://127.0.0.1:1').ping());
    expect([error.code, error.message]).toEqual([
      'SourcePing',
      'unexpected ping error with "imgapi" image source "http://127.0.0.1:1": Error: connect ECONNREFUSED 127.0.0.1:1',
    ]);
  });

  test('shows what is not JSON, indented and cut', async () => {
    const server = await always(200, `<html>\n${'x'.repeat(2000)}`);
    const error = await failure(connect(server.url).ping());
    const body = `    <html>\n    ${'x'.repeat(1024 - 7)}...`;
    expect(error.message).toBe(
      `unexpected ping error with "imgapi" image source "${server.url}": statusCode 200, response not JSON:\n${body}`,
    );
  });

  test.each([
    [200, '{"ping":"pong"}'],
    [500, '{"ping":"pong","imgapi":true}'],
    [200, 'null'],
  ])('refuses %i %s', async (status, body) => {
    const server = await always(status, body);
    const error = await failure(connect(server.url).ping());
    expect(error.message).toContain(`statusCode ${status}, response not from an IMGAPI server:\n    ${body}`);
  });

  test('an abort is no ping error', async () => {
    const server = await serve(() => undefined);
    const reason = new Error('enough');
    const signal = AbortSignal.abort(reason);
    await expect(connect(server.url).ping({signal})).rejects.toBe(reason);
  });
});

describe('listImages', () => {
  test('asks for the channel and the query on every page', async () => {
    const page = Array.from({length: 1000}, (_, index) => ({uuid: `u${index}`, published_at: String(index)}));
    const server = await serve((request, response) => {
      response.end(JSON.stringify(request.url?.includes('marker') ? [page[999], {uuid: 'new'}] : page));
    });
    const listing = await connect(`${server.url}/?channel=dev`, {channel: 'staging'}).listImages({
      state: 'all',
    });
    expect(listing).toMatchObject({isUnchanged: false, validator: undefined, warnings: []});
    expect('manifests' in listing && listing.manifests.length).toBe(1001);
    expect(server.requests).toEqual([
      'GET /images?state=all&channel=staging',
      'GET /images?state=all&limit=1000&marker=u999&channel=staging',
    ]);
  });

  test('learns with the validator that nothing changed', async () => {
    const server = await serve((request, response) => {
      if (request.headers['if-none-match'] === '"tag"') response.writeHead(304).end();
      else response.setHeader('Etag', '"tag"').end(JSON.stringify([manifest]));
    });
    const client = connect(server.url);
    const listing = await client.listImages();
    expect(listing).toEqual({isUnchanged: false, manifests: [manifest], validator: '"tag"', warnings: []});
    expect(await client.listImages({}, {validator: '"tag"'})).toEqual({
      isUnchanged: true,
      validator: '"tag"',
    });
  });

  test('asks what follows a full page before it believes that nothing changed', async () => {
    const images = Array.from({length: 1000}, (_, index) => ({uuid: `uuid-${index}`}));
    const asked: string[] = [];
    const server = await serve((request, response) => {
      const isKnown = request.headers['if-none-match'] === '"page"';
      asked.push(`${request.url}${isKnown ? ' if changed' : ''}`);
      const from = images.findIndex(({uuid}) => request.url?.endsWith(`marker=${uuid}`));
      if (isKnown) response.writeHead(304).end();
      else {
        response.setHeader('Etag', '"page"');
        response.end(JSON.stringify(images.slice(Math.max(from, 0)).slice(0, 1000)));
      }
    });
    const client = connect(server.url);
    const {validator} = await client.listImages();
    const known = validator === undefined ? {} : {validator};
    const next = '/images?limit=1000&marker=uuid-999';
    expect(asked.splice(0)).toEqual(['/images', next]);
    expect(await client.listImages({}, known)).toEqual({isUnchanged: true, validator});
    expect(asked.splice(0)).toEqual(['/images if changed', next]);
    images.push({uuid: 'one more'});
    expect(await client.listImages({}, known)).toMatchObject({manifests: images, validator: undefined});
    expect(asked).toEqual(['/images if changed', next, '/images', next]);
  });

  test('the byte limit covers all pages together', async () => {
    let call = 0;
    const server = await serve((_request, response) => {
      call += 1;
      response.end(JSON.stringify(Array.from({length: 1000}, (_, index) => ({uuid: `${call}-${index}`}))));
    });
    const client = connect(server.url, {limits: {listingBytes: 60_000}});
    expect((await failure(client.listImages())).code).toBe('LimitExceeded');
    expect(call).toBe(4);
  });

  test.each([
    ['<html>', 'statusCode 200, response not JSON'],
    ['{}', 'the answer is not a list of images'],
    ['', 'statusCode 200, response not JSON'],
  ])('an answer of %j is an error', async (body, text) => {
    const server = await always(200, body);
    const error = await failure(connect(server.url).listImages());
    expect([error.code, error.message]).toEqual(['InternalError', `${server.url}: ${text}`]);
  });

  test('a failed page fails the list', async () => {
    const server = await serve((request, response) => {
      if (request.url?.includes('marker'))
        response.writeHead(500).end('{"code":"InternalError","message":"boom"}');
      else response.end(JSON.stringify(Array.from({length: 1000}, (_, index) => ({uuid: `${index}`}))));
    });
    expect((await failure(connect(server.url).listImages())).message).toBe(`${server.url}: boom`);
  });
});

describe('errors', () => {
  test('carry the code, the message and a line for each item of the server', async () => {
    const body = {
      code: 'ValidationFailed',
      message: 'invalid image data: os',
      errors: [
        {field: 'os', code: 'Invalid', message: 'no such os'},
        {field: 'v', code: 'MissingParameter'},
        7,
      ],
    };
    const server = await always(422, JSON.stringify(body));
    const error = (await failure(connect(server.url).importImage(manifest))) as ServerError;
    expect(error).toBeInstanceOf(ServerError);
    expect([error.publicCode, error.statusCode, error.items.length]).toEqual(['ValidationFailed', 422, 2]);
    expect(error.message).toBe(
      `${server.url}: invalid image data: os\n    os: Invalid: no such os\n    v: MissingParameter`,
    );
  });

  test('a refusal that is not JSON is an internal error with its beginning', async () => {
    const server = await always(403, 'go away');
    const error = await failure(connect(server.url).findImage(uuid));
    expect([error.code, error.message]).toEqual([
      'InternalError',
      `${server.url}: statusCode 403, "go away"`,
    ]);
  });

  test('a wrong Content-MD5 of a JSON answer is BadDigest', async () => {
    const server = await always(200, JSON.stringify(manifest), {'Content-MD5': 'AAAAAAAAAAAAAAAAAAAAAA=='});
    expect((await failure(connect(server.url).findImage(uuid))).publicCode).toBe('BadDigest');
  });
});

describe('findImage', () => {
  test('knows there from not there', async () => {
    const server = await serve((request, response) => {
      expect(request.headers['accept-version']).toBe('~2');
      if (request.url === `/images/${uuid}`) response.end(JSON.stringify(manifest));
      else response.writeHead(404).end('Not found');
    });
    const client = connect(server.url);
    expect(await client.findImage(uuid)).toEqual(manifest);
    expect(await client.findImage('11111111-1111-4111-8111-111111111111')).toBeUndefined();
  });
});

describe('openFile', () => {
  const content = Buffer.alloc(1000, 'content');
  const whole = {
    'Content-Length': '1000',
    Etag: 'abc',
    'Content-MD5': createHash('md5').update(content).digest('base64'),
  };

  test('opens the whole file with what the server says about it', async () => {
    const server = await serve((_request, response) => response.writeHead(200, whole).end(content));
    const {body, ...facts} = await connect(server.url).openFile(uuid);
    expect(await buffer(body)).toEqual(content);
    expect(facts).toEqual({
      offsetBytes: 0,
      totalBytes: 1000,
      validator: 'abc',
      md5: createHash('md5').update(content).digest('hex'),
    });
  });

  test('continues at an offset while the validator holds', async () => {
    const server = await serve((request, response) => {
      expect([request.headers.range, request.headers['if-range']]).toEqual(['bytes=400-', 'abc']);
      const headers = {'Content-Range': 'bytes 400-999/1000', 'Content-Length': '600', Etag: 'abc'};
      response.writeHead(206, headers).end(content.subarray(400));
    });
    const {body, ...facts} = await connect(server.url).openFile(uuid, {offsetBytes: 400, validator: 'abc'});
    expect(facts).toEqual({offsetBytes: 400, totalBytes: 1000, validator: 'abc', md5: undefined});
    expect(await buffer(body)).toEqual(content.subarray(400));
  });

  test('begins at 0 when the server ignores the range', async () => {
    const server = await serve((_request, response) => response.writeHead(200, whole).end(content));
    const file = await connect(server.url).openFile(uuid, {offsetBytes: 400, validator: 'abc'});
    expect(file.offsetBytes).toBe(0);
    expect(await buffer(file.body)).toEqual(content);
  });

  test.each(['bytes 399-999/1000', 'bytes 400-998/1000', 'bytes 400-999/*', 'bytes 400-999/1001', 'junk'])(
    'refuses a part that is %s',
    async (range) => {
      const server = await serve((_request, response) => {
        response.writeHead(206, {'Content-Range': range}).end(content.subarray(400));
      });
      const error = await failure(connect(server.url).openFile(uuid, {offsetBytes: 400}));
      expect(error.code).toBe('DownloadError');
      expect(error.message).toBe(`${server.url}: unexpected Content-Range header: ${range}`);
    },
  );

  test('has nothing left to send at the end of the file, and starts again beyond it', async () => {
    const server = await serve((request, response) => {
      if (request.headers.range === undefined) response.writeHead(200, whole).end(content);
      else response.writeHead(416, {'Content-Range': 'bytes */1000'}).end();
    });
    const client = connect(server.url);
    const end = await client.openFile(uuid, {offsetBytes: 1000});
    expect([end.offsetBytes, end.totalBytes, (await buffer(end.body)).length]).toEqual([1000, 1000, 0]);
    const beyond = await client.openFile(uuid, {offsetBytes: 1001});
    expect([beyond.offsetBytes, (await buffer(beyond.body)).length]).toEqual([0, 1000]);
  });

  test('an image without a file, an unasked part and an encoded file are errors', async () => {
    const missing = await always(404, '{"code":"ResourceNotFound","message":"image has no file"}');
    expect((await failure(connect(missing.url).openFile(uuid))).publicCode).toBe('ResourceNotFound');
    const part = await always(206, 'x');
    expect((await failure(connect(part.url).openFile(uuid))).code).toBe('InternalError');
    const encoded = await always(200, 'x', {'Content-Encoding': 'gzip'});
    expect((await failure(connect(encoded.url).openFile(uuid))).message).toContain(
      'Content-Encoding header: gzip',
    );
  });

  test('follows a redirect to where the file is', async () => {
    const store = await serve((_request, response) => response.end('from the store'));
    const server = await serve((_request, response) =>
      response.writeHead(302, {Location: `${store.url}/f`}).end(),
    );
    expect(await text((await connect(server.url).openFile(uuid)).body)).toBe('from the store');
  });
});

describe('publishing', () => {
  async function bodyOf(request: IncomingMessage): Promise<Buffer> {
    return buffer(request);
  }

  test('sends manifest, file and activation as the reference client does', async () => {
    const content = Buffer.from('image bytes');
    const sha1 = createHash('sha1').update(content).digest('hex');
    const seen: unknown[] = [];
    const server = await serve(async (request, response) => {
      const body = await bodyOf(request);
      const {headers} = request;
      seen.push([request.method, request.url, headers['accept-version'], body.toString()]);
      if (headers['content-md5'] !== undefined) {
        expect(headers['content-md5']).toBe(createHash('md5').update(body).digest('base64'));
      }
      if (request.method === 'DELETE') response.writeHead(204).end();
      else response.end(JSON.stringify({...manifest, files: [{sha1, size: 11, compression: 'none'}]}));
    });
    const client = connect(server.url);
    await client.importImage(manifest);
    const file = {body: () => Readable.from([content]), sizeBytes: 11, sha1, compression: 'none'} as const;
    expect((await client.addFile(uuid, file)).files).toHaveLength(1);
    await client.activate(uuid);
    await client.deleteImage(uuid);
    await client.createImage({name: 'a'});
    expect(seen).toEqual([
      ['POST', `/images/${uuid}?action=import`, '*', JSON.stringify(manifest)],
      ['PUT', `/images/${uuid}/file?compression=none&sha1=${sha1}`, '*', 'image bytes'],
      ['POST', `/images/${uuid}?action=activate`, '*', '{}'],
      ['DELETE', `/images/${uuid}`, '*', ''],
      ['POST', '/images', '*', '{"name":"a"}'],
    ]);
  });

  test.each([
    [{sha1: 'other', size: 1}, 'sha1 expected to be abc, but was other'],
    [{sha1: 'abc', size: 2}, 'size expected to be 1, but was 2'],
  ])('a server that received something else (%j) is an UploadError', async (received, message) => {
    const server = await always(200, JSON.stringify({...manifest, files: [received]}));
    const file = {
      body: () => Readable.from([Buffer.from('x')]),
      sizeBytes: 1,
      sha1: 'abc',
      compression: 'none',
    } as const;
    const error = await failure(connect(server.url).addFile(uuid, file));
    expect([error.code, error.message]).toEqual(['UploadError', message]);
  });

  test('a refused delete is an error', async () => {
    const server = await always(404, '{"code":"ResourceNotFound","message":"gone"}');
    expect((await failure(connect(server.url).deleteImage(uuid))).message).toBe(`${server.url}: gone`);
  });
});
