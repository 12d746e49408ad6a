/** What every source keeps, whatever its type; run against each over a loopback server. */

import {createHash} from 'node:crypto';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import type {RequestListener} from 'node:http';
import os from 'node:os';
import path from 'node:path';
import {afterEach, describe, expect, test} from 'vitest';
import {DownloadCache} from '../../src/downloads/download-cache.ts';
import {ImgctlError} from '../../src/errors.ts';
import {HttpClient} from '../../src/http/http-client.ts';
import type {ImgapiLimits} from '../../src/imgapi/limits.ts';
import {openSource} from '../../src/sources/index.ts';
import type {SourceSettings, VerifiedSource} from '../../src/sources/source.ts';
import {type Loopback, startLoopback} from '../loopback.ts';

export interface SourceKind {
  type: SourceSettings['type'];
  /** Appended to the address of the server. */
  path: string;
  /** A server's answer to a ping. */
  pong: string;
  pingPath: string;
  listPath: string;
  filePath: (uuid: string) => string;
  /** The manifest as such a server has it; `url` is the server's. */
  manifest(uuid: string, file: {sha1: string; size: number}, url: string): object;
}

const uuid = '3e6ed30f-64c7-431d-9fee-888be6361632';
const bytes = Buffer.from('the file of the image');
const sha1 = createHash('sha1').update(bytes).digest('hex');

export function verifiedSourceContract(kind: SourceKind): void {
  const cleanups: (() => unknown)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  const open = (url: string, limits?: Partial<ImgapiLimits>): VerifiedSource => {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'imgctl-source.'));
    const http = new HttpClient({userAgent: 'imgctl-test', retries: {count: 0}});
    const cache = new DownloadCache({directory, maxBytes: 1e6, retries: 0, retryDelayMs: 1});
    cleanups.push(
      () => http.close(),
      () => rmSync(directory, {recursive: true}),
    );
    const settings: SourceSettings = {url: `${url}${kind.path}`, type: kind.type};
    return openSource(settings, {http, cache, ...(limits && {limits})});
  };
  const serve = async (listener: RequestListener): Promise<Loopback> => {
    const loopback = await startLoopback(listener);
    cleanups.push(() => loopback.close());
    return loopback;
  };
  /** A good server, except for the paths that `other` answers. */
  const serveImage = (other: (path: string) => {status?: number; body: string | Buffer} | undefined) =>
    serve((request, response) => {
      const where = request.url ?? '';
      const own = `http://${request.headers.host}`;
      const manifest = kind.manifest(uuid, {sha1, size: bytes.length}, own);
      const good: Record<string, string | Buffer> = {
        [kind.pingPath]: kind.pong,
        [kind.listPath]: JSON.stringify([manifest]),
        [`${kind.listPath}/${uuid}`]: JSON.stringify(manifest),
        [kind.filePath(uuid)]: bytes,
      };
      const {status = 200, body} = other(where) ?? {body: good[where]};
      if (body === undefined)
        response.writeHead(404).end('{"code":"ResourceNotFound","message":"not found"}');
      else response.writeHead(status, {'content-length': body.length}).end(body);
    });
  const good = () => serveImage(() => undefined);
  const failure = async (promise: Promise<unknown>): Promise<ImgctlError> => {
    const error = await promise.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ImgctlError);
    return error as ImgctlError;
  };

  describe(`a source of type ${kind.type}`, () => {
    test('answers a ping', async () => {
      await open((await good()).url).ping();
    });

    test('that is not there fails its ping by name', async () => {
      const error = await failure(open('http://127.0.0.1:1').ping());
      expect([error.code, error.message]).toEqual([
        'SourcePing',
        `unexpected ping error with "${kind.type}" image source "http://127.0.0.1:1${kind.path}": Error: connect ECONNREFUSED 127.0.0.1:1`,
      ]);
    });

    test('that answers with a page for people fails its ping and shows it', async () => {
      const server = await serveImage(() => ({status: 503, body: '<html>'}));
      const error = await failure(open(server.url).ping());
      expect(error.message).toMatch(/: statusCode 503, response not JSON:\n {4}<html>$/);
    });

    test('lists manifests of version 2, and leaves out what is none with a warning', async () => {
      const server = await serveImage((where) => {
        if (where !== kind.listPath) return undefined;
        const image = kind.manifest(uuid, {sha1, size: bytes.length}, '');
        return {body: JSON.stringify([image, {...image, uuid: 'BAD'}, image])};
      });
      const listing = await open(server.url).listImages();
      expect(listing?.manifests.map((image) => [image.uuid, image.v, image.state])).toEqual([
        [uuid, 2, 'active'],
      ]);
      expect(listing?.warnings).toHaveLength(1);
    });

    test('finds an image, and undefined where there is none', async () => {
      const source = open((await good()).url);
      expect((await source.findImage(uuid))?.name).toBe('base');
      expect(await source.findImage('00000000-0000-0000-0000-000000000001')).toBeUndefined();
    });

    test('that answers with another image is not believed', async () => {
      const other = '11111111-1111-4111-8111-111111111111';
      const server = await serveImage((where) =>
        where.endsWith(uuid)
          ? {body: JSON.stringify(kind.manifest(other, {sha1, size: bytes.length}, ''))}
          : undefined,
      );
      expect((await failure(open(server.url).findImage(uuid))).code).toBe('InvalidManifest');
    });

    test('hands out the file, compared with size and sha1', async () => {
      const source = open((await good()).url);
      const manifest = await source.findImage(uuid);
      const file = await source.fetchFile(manifest!);
      expect(readFileSync(file.path)).toEqual(bytes);
      await file.release();
    });

    test('that has other bytes than the manifest says is refused', async () => {
      const wrong = Buffer.from('the file of the imagE');
      const server = await serveImage((where) => (where === kind.filePath(uuid) ? {body: wrong} : undefined));
      const source = open(server.url);
      const manifest = await source.findImage(uuid);
      expect((await failure(source.fetchFile(manifest!))).code).toBe('DownloadError');
    });

    test('may not send more than the limits allow', async () => {
      const source = open((await good()).url, {listingBytes: 50, documentBytes: 50});
      expect((await failure(source.listImages())).code).toBe('LimitExceeded');
      expect((await failure(source.findImage(uuid))).code).toBe('LimitExceeded');
    });
  });
}
