/** The smallest server that keeps the IMGAPI protocol for readers: no validators, no ranges, any manifest. */
import type {ImageManifest} from '../../src/manifest/manifest.ts';
import {type Loopback, startLoopback} from '../loopback.ts';
import {manifestFor} from './catalogs.ts';
import {sha1Of} from './file-server.ts';

export interface BareImage {
  manifest: ImageManifest;
  content: Buffer;
}

export interface BareServer extends Loopback {
  images: BareImage[];
  /** While set, every request is refused with this status. */
  refuseWith: number | undefined;
}

export async function startBareServer(images: BareImage[]): Promise<BareServer> {
  const loopback = await startLoopback((request, response) => {
    const [, uuid, file] = /^\/images\/([^/?]+)(\/file)?/.exec(request.url ?? '') ?? [];
    const image = server.images.find(({manifest}) => manifest.uuid === uuid);
    const json = (value: unknown, status = 200): unknown =>
      response.writeHead(status, {'content-type': 'application/json'}).end(JSON.stringify(value));
    if (server.refuseWith !== undefined) json({code: 'Refused', message: 'refused'}, server.refuseWith);
    else if (request.url === '/ping') json({ping: 'pong', imgapi: true});
    else if (request.url === '/images') json(activeOf(server.images));
    else if (file && image) response.setHeader('content-length', image.content.length).end(image.content);
    else if (image && !file) json(image.manifest);
    else json({code: 'ResourceNotFound', message: 'image not found'}, 404);
  });
  const server: BareServer = {...loopback, images, refuseWith: undefined};
  return server;
}

function activeOf(images: readonly BareImage[]): ImageManifest[] {
  return images.map(({manifest}) => manifest).filter(({state}) => state === 'active');
}

/** An image with a manifest that fits its content. */
export function bareImage(name: string, content: Buffer, more: Partial<ImageManifest> = {}): BareImage {
  const files: ImageManifest['files'] = [{sha1: sha1Of(content), size: content.length, compression: 'none'}];
  return {manifest: manifestFor(name, {files, ...more}), content};
}
