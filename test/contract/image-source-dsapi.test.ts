import {describe} from 'vitest';
import {HttpClient} from '../../src/http/http-client.ts';
import type {ImageManifest} from '../../src/manifest/manifest.ts';
import {upgradeManifest} from '../../src/manifest/upgrade.ts';
import {DsapiSource} from '../../src/sources/dsapi.ts';
import {startLoopback} from '../loopback.ts';
import {uuidFor} from '../support/catalogs.ts';
import {pattern, sha1Of} from '../support/file-server.ts';
import {imageSourceContract, type SourceUnderTest} from './image-source.ts';

interface Dataset {
  /** As such a server has it, version 1. */
  old: Record<string, unknown>;
  manifest: ImageManifest;
  content: Buffer;
}

function dataset(name: string, url: string, more: object = {}): Dataset {
  const content = pattern(3000, name);
  const uuid = uuidFor(name);
  const old = {
    uuid,
    name,
    version: '1.0.0',
    type: 'zone-dataset',
    os: 'smartos',
    creator_uuid: '352971aa-31ba-496c-9ade-a379feaecd52',
    published_at: '2012-01-01T10:00Z',
    files: [{path: `${name}.tar`, sha1: sha1Of(content), size: content.length, url: `${url}/files/${uuid}`}],
    ...more,
  };
  return {old, manifest: upgradeManifest(old), content};
}

/** A server of the older API: no validators, no ranges, files elsewhere than images. */
async function openDsapi(): Promise<SourceUnderTest> {
  const offered: Dataset[] = [];
  const disabled: Dataset[] = [];
  const server = await startLoopback((request, response) => {
    const [, place, uuid] = (request.url ?? '').split('/');
    const found = [...offered, ...disabled].find(({manifest}) => manifest.uuid === uuid);
    const send = (body: Buffer | string): void => {
      response.writeHead(200, {'content-length': Buffer.byteLength(body)}).end(body);
    };
    if (place === 'ping') send('{"ping":"pong"}');
    else if (uuid === undefined) send(JSON.stringify(offered.map(({old}) => old)));
    else if (!found) response.writeHead(404).end('{"code":"ResourceNotFound","message":"not found"}');
    else send(place === 'files' ? found.content : JSON.stringify(found.old));
  });
  const images = ['a', 'b'].map((name) => dataset(name, server.url));
  offered.push(...images);
  const other = dataset('disabled', server.url, {disabled: true});
  disabled.push(other);
  const http = new HttpClient({
    userAgent: 'imgctl-test',
    stallTimeoutMs: 500,
    retries: {count: 1, baseDelayMs: 1},
  });
  const stop = async (): Promise<void> => {
    http.close();
    await server.close();
  };
  return {
    source: new DsapiSource({url: `${server.url}/datasets`, type: 'dsapi'}, http),
    images,
    unactivated: other.manifest,
    add: async (name) => void offered.push(dataset(name, server.url)),
    stop,
    close: stop,
  };
}

describe('a source of type dsapi', () => imageSourceContract(openDsapi));
