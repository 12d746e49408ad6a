/** An IMGAPI server of the test's own making: what a real one refuses to hold, it may hold. */

import {createHash} from 'node:crypto';
import type {IncomingMessage, ServerResponse} from 'node:http';
import {type Loopback, startLoopback} from '../loopback.ts';

export interface FakeImage {
  uuid: string;
  name?: string;
  version?: string;
  bytes?: Buffer;
  origin?: string;
  /** Over what the manifest would have. */
  more?: Record<string, unknown>;
}

export interface FakeServer extends Loopback {
  images: FakeImage[];
  /** Takes a request before the server answers it; true when it has answered. */
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;
}

export const defaultBytes = Buffer.from('not much of a disk');

export function fakeManifest(image: FakeImage): Record<string, unknown> {
  const bytes = image.bytes ?? defaultBytes;
  const sha1 = createHash('sha1').update(bytes).digest('hex');
  return {
    v: 2,
    uuid: image.uuid,
    name: image.name ?? 'fake',
    version: image.version ?? '1.0.0',
    type: 'other',
    os: 'linux',
    state: 'active',
    published_at: '2016-05-23T10:11:12.000Z',
    ...(image.origin !== undefined && {origin: image.origin}),
    files: [{sha1, size: bytes.length, compression: 'none'}],
    ...image.more,
  };
}

export async function startFakeServer(images: FakeImage[]): Promise<FakeServer> {
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const {pathname} = new URL(request.url ?? '/', 'http://h');
    const [, uuid, file] = /^\/images\/([^/]+)(\/file)?$/.exec(pathname) ?? [];
    const image = fake.images.find((candidate) => candidate.uuid === uuid);
    const send = (status: number, body: Buffer | string): void => {
      response.writeHead(status, {'content-length': Buffer.byteLength(body)}).end(body);
    };
    if (pathname === '/ping') send(200, '{"ping":"pong","imgapi":true}');
    else if (pathname === '/images') send(200, JSON.stringify(fake.images.map(fakeManifest)));
    else if (!image) send(404, '{"code":"ResourceNotFound","message":"not found"}');
    else if (file) send(200, image.bytes ?? defaultBytes);
    else send(200, JSON.stringify(fakeManifest(image)));
  };
  const loopback = await startLoopback(async (request, response) => {
    if (!(await fake.intercept(request, response))) answer(request, response);
  });
  const fake: FakeServer = {...loopback, images, intercept: () => false};
  return fake;
}
