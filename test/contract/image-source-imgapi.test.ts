import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {Readable} from 'node:stream';
import {afterEach, describe, expect, test} from 'vitest';
import {HttpClient} from '../../src/http/http-client.ts';
import {ImgapiClient} from '../../src/imgapi/imgapi-client.ts';
import type {ImageManifest} from '../../src/manifest/manifest.ts';
import {createImageServer} from '../../src/server/image-server.ts';
import {ImgapiSource} from '../../src/sources/imgapi.ts';
import {type Loopback, startLoopback} from '../loopback.ts';
import {bareImage, startBareServer} from '../support/bare-imgapi.ts';
import {manifestFor, uuidFor} from '../support/catalogs.ts';
import {pattern, sha1Of} from '../support/file-server.ts';
import {imageSourceContract, type SourceUnderTest} from './image-source.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function openHttp(): HttpClient {
  return new HttpClient({
    userAgent: 'imgctl-test',
    stallTimeoutMs: 500,
    retries: {count: 1, baseDelayMs: 1},
  });
}

/** A server over a directory, filled through the client. */
async function openServer(): Promise<SourceUnderTest> {
  const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-source-'));
  const server = await createImageServer({directory});
  const {url} = await server.listen({host: '127.0.0.1', port: 0});
  const http = openHttp();
  const client = new ImgapiClient(http, url);

  async function add(name: string): Promise<{manifest: ImageManifest; content: Buffer}> {
    const content = pattern(5000, name);
    const manifest = manifestFor(name);
    await client.importImage(manifest);
    await client.addFile(manifest.uuid, {
      body: () => Readable.from([content]),
      sizeBytes: content.length,
      sha1: sha1Of(content),
      compression: 'none',
    });
    await client.activate(manifest.uuid);
    return {manifest, content};
  }

  const images = [await add('a'), await add('b'), await add('c')];
  const unactivated = await client.importImage(manifestFor('unactivated'));
  let isStopped = false;
  const stop = async (): Promise<void> => {
    http.close();
    if (!isStopped) await server.close();
    isStopped = true;
  };
  return {
    source: new ImgapiSource({url, type: 'imgapi'}, http),
    images,
    unactivated,
    add: async (name) => void (await add(name)),
    stop,
    close: async () => {
      await stop();
      rmSync(directory, {recursive: true, force: true});
    },
  };
}

describe('a source of type imgapi, on our own server', () => imageSourceContract(openServer));

async function openBareServer(): Promise<SourceUnderTest> {
  const images = ['a', 'b'].map((name) => bareImage(name, pattern(3000, name)));
  const unactivated = bareImage('unactivated', pattern(10), {state: 'unactivated'});
  const server = await startBareServer([...images, unactivated]);
  const http = openHttp();
  const stop = async (): Promise<void> => {
    http.close();
    await server.close();
  };
  return {
    source: new ImgapiSource({url: server.url, type: 'imgapi'}, http),
    images,
    unactivated: unactivated.manifest,
    replaceFile: async (uuid, content) => {
      server.images.find(({manifest}) => manifest.uuid === uuid)!.content = content;
    },
    add: async (name) => void server.images.push(bareImage(name, pattern(3000, name))),
    stop,
    close: stop,
  };
}

describe('a source of type imgapi, on a server without ranges and validators', () =>
  imageSourceContract(openBareServer));

describe('hostile answers', () => {
  async function sourceAnswering(listener: Parameters<typeof startLoopback>[0]): Promise<ImgapiSource> {
    const server: Loopback = await startLoopback(listener);
    const http = openHttp();
    cleanups.push(() => server.close());
    cleanups.push(() => http.close());
    return new ImgapiSource({url: server.url, type: 'imgapi'}, http);
  }

  const bodies: [name: string, body: string][] = [
    ['no JSON', '<html>'],
    ['a text', '"text"'],
    ['a number', '7'],
    ['null', 'null'],
    ['an object', '{}'],
    ['cut JSON', '[{"uuid":'],
    ['bytes that are no UTF-8', '\ufffd'],
  ];

  test.each(bodies)('%s for a listing is an error', async (_name, body) => {
    const source = await sourceAnswering((_request, response) => response.end(body));
    await expect(source.listImages()).rejects.toMatchObject({retryable: false});
  });

  test('a listing that never ends is cut off', async () => {
    const source = await sourceAnswering((_request, response) => {
      response.write('[');
      const more = (error?: Error | null): void => {
        if (!error) response.write('{},'.repeat(300_000), more);
      };
      response.on('error', () => undefined);
      more();
    });
    await expect(source.listImages()).rejects.toMatchObject({code: 'LimitExceeded'});
  });

  test('an answer that stops in the middle ends with an error', async () => {
    const source = await sourceAnswering((_request, response) => {
      response.writeHead(200, {'content-length': 1000}).write('{');
    });
    const asking = source.findImage(uuidFor('a'));
    await expect(asking).rejects.toMatchObject({code: 'ClientError', retryable: true});
  });

  test('a redirect of a file to another scheme, or for ever, is not followed', async () => {
    for (const location of ['file:///etc/passwd', 'ftp://127.0.0.1/x', '/images/x/file']) {
      const source = await sourceAnswering((_request, response) =>
        response.writeHead(302, {location, 'content-length': 0}).end(),
      );
      await expect(source.openFile(uuidFor('a'))).rejects.toMatchObject({retryable: false});
    }
  });

  test.each([
    ['begins elsewhere', {'content-range': 'bytes 0-9/10'}],
    ['ends early', {'content-range': 'bytes 5-7/10'}],
    ['has no numbers', {'content-range': 'bytes */10'}],
    ['is not stated', {}],
  ])('a part that %s is refused', async (_name, headers) => {
    const source = await sourceAnswering((_request, response) => {
      response.writeHead(206, headers).end('12345');
    });
    await expect(source.openFile(uuidFor('a'), {offsetBytes: 5})).rejects.toMatchObject({
      code: 'DownloadError',
    });
  });

  test('a file in a content encoding is refused', async () => {
    const source = await sourceAnswering((_request, response) => {
      response.writeHead(200, {'content-encoding': 'gzip', 'content-length': 3}).end('abc');
    });
    await expect(source.openFile(uuidFor('a'))).rejects.toMatchObject({code: 'DownloadError'});
  });
});
