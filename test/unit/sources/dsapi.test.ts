import type {RequestListener} from 'node:http';
import {buffer} from 'node:stream/consumers';
import {afterEach, expect, test} from 'vitest';
import {ImgctlError} from '../../../src/errors.ts';
import {HttpClient} from '../../../src/http/http-client.ts';
import type {ImgapiLimits} from '../../../src/imgapi/limits.ts';
import {DsapiSource} from '../../../src/sources/dsapi.ts';
import {sourceType} from '../../../src/sources/source-type.ts';
import {type Loopback, startLoopback} from '../../loopback.ts';

const uuid = '3e6ed30f-64c7-431d-9fee-888be6361632';
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function open(url: string, limits?: Partial<ImgapiLimits>): DsapiSource {
  const http = new HttpClient({userAgent: 'imgctl-test', retries: {count: 0}});
  cleanups.push(() => http.close());
  return new DsapiSource({url, type: 'dsapi'}, http, limits);
}

async function serve(listener: RequestListener): Promise<Loopback> {
  const loopback = await startLoopback(listener);
  cleanups.push(() => loopback.close());
  return loopback;
}

/** A server whose one image has its file at `url`. */
function serveFileAt(url: (own: string) => unknown): Promise<Loopback> {
  return serve((request, response) => {
    const own = `http://${request.headers.host}`;
    if (request.url === `/datasets/${uuid}`) response.end(JSON.stringify({uuid, files: [{url: url(own)}]}));
    else if (request.headers.range === 'bytes=4-')
      response.writeHead(206, {'content-range': 'bytes 4-7/8'}).end('data');
    else if (request.url === '/file') response.end('filedata');
    else response.writeHead(404).end();
  });
}

test('a URL that does not end in /datasets is refused with the text of imgadm', () => {
  for (const url of ['http://h/datasets', 'http://h/datasets/', 'h/x/datasets']) open(url);
  expect(() => open('https://y.example')).toThrow(
    new ImgctlError('ConfigError', '"dsapi" source URL does not end with "/datasets": "https://y.example"'),
  );
});

test('an answer of 200 is good for a ping, whatever it says', async () => {
  const server = await serve((_request, response) => response.end('{"ping":"pong"}'));
  await open(`${server.url}/base/datasets/`).ping();
  expect(server.requests).toEqual(['GET /base/ping']);
});

test('a file is opened where the manifest says, also from an offset', async () => {
  const server = await serveFileAt((own) => `${own}/file`);
  const source = open(`${server.url}/datasets`);
  expect((await buffer((await source.openFile(uuid)).body)).toString()).toBe('filedata');
  const rest = await source.openFile(uuid, {offsetBytes: 4});
  expect([rest.offsetBytes, (await buffer(rest.body)).toString()]).toEqual([4, 'data']);
});

test.each([[undefined], [7], ['file:///etc/passwd'], ['no url'], ['ftp://h/x']])(
  'a file URL of %j is refused',
  async (url) => {
    const server = await serveFileAt(() => url);
    await expect(open(`${server.url}/datasets`).openFile(uuid)).rejects.toMatchObject({
      code: 'DownloadError',
      message: expect.stringContaining(`image ${uuid} has no usable file URL in source`),
    });
  },
);

test('a file that is gone is an error that names where it was', async () => {
  const server = await serveFileAt((own) => `${own}/gone`);
  await expect(open(`${server.url}/datasets`).openFile(uuid)).rejects.toThrow(
    `${server.url}/gone: statusCode 404`,
  );
});

test('a server that is not there fails its ping by type and URL', async () => {
  await expect(open('http://127.0.0.1:1/datasets').ping()).rejects.toMatchObject({
    code: 'SourcePing',
    message:
      'unexpected ping error with "dsapi" image source "http://127.0.0.1:1/datasets": Error: connect ECONNREFUSED 127.0.0.1:1',
  });
});

test('a server may not send more than the limits allow', async () => {
  const server = await serve((_request, response) => response.end(JSON.stringify([{uuid: 'x'.repeat(60)}])));
  const source = open(`${server.url}/datasets`, {listingBytes: 50, documentBytes: 50});
  await expect(source.listImages()).rejects.toMatchObject({code: 'LimitExceeded'});
  await expect(source.findImage(uuid)).rejects.toMatchObject({code: 'LimitExceeded'});
});

test('types are known by name: docker is refused as such, others with the text of imgadm', () => {
  expect(sourceType('dsapi', 'x')).toBe('dsapi');
  expect(() => sourceType('docker', 'https://docker.io')).toThrow(
    expect.objectContaining({
      code: 'NotSupported',
      message: 'docker is not supported: image source "https://docker.io"',
    }),
  );
  expect(() => sourceType('bogus', 'https://y.example')).toThrow(
    new ImgctlError(
      'ConfigError',
      'type "bogus" for source url "https://y.example" is invalid: must be one of "imgapi", "dsapi", "docker"',
    ),
  );
});
