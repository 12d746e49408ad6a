/** Which call of our client makes a recorded request, and what it has to conclude from the recorded answer. */
import {createHash} from 'node:crypto';
import {Readable} from 'node:stream';
import {buffer} from 'node:stream/consumers';
import type {ImgapiClient} from '../../src/imgapi/imgapi-client.ts';
import type {ImageManifest} from '../../src/manifest/manifest.ts';
import {bodyBytes, type RecordedExchange} from './recorded-exchanges.ts';

export interface ClientCall {
  run: (client: ImgapiClient) => Promise<unknown>;
  /** The value a success has to give. */
  value: (exchange: RecordedExchange) => unknown;
  /** Which statuses are a success, and which stand for "there is none" (undefined). */
  success: number[];
  absent?: number[];
  /** The code of every failure, where it is not the server's. */
  failure?: 'SourcePing';
  /** Parameters that are part of the base URL. */
  baseQuery?: string;
}

/** `METHOD PATH`, with the UUID and the query cut off, to the call; undefined where the client has none. */
export function clientCall({request, outcome}: RecordedExchange): ClientCall | undefined {
  // Recorded for a body that is shorter than announced, which our client cannot send.
  if (outcome === 'timeout') return undefined;
  const [pathname = '', search = ''] = request.target.split(/\?(.*)/s);
  const [, room, uuid = '', part = ''] = pathname.split('/');
  const query = Object.fromEntries(new URLSearchParams(search));
  if (hasRepeats(search)) return undefined;
  if (pathname === '/images/') return undefined;
  const call = calls[`${request.method} /${room}${uuid && '/UUID'}${part && `/${part}`}`];
  return call?.({uuid, query, body: bodyBytes(request.body), search});
}

interface CallFacts {
  uuid: string;
  query: Record<string, string>;
  search: string;
  body: Buffer;
}

const json = ({response}: RecordedExchange): unknown => JSON.parse(response!.body.data);
const bytes = ({response}: RecordedExchange): Buffer => bodyBytes(response!.body);

const calls: Readonly<Record<string, (facts: CallFacts) => ClientCall | undefined>> = {
  'GET /ping': ({search}) => ({
    run: (client) => client.ping(),
    value: () => undefined,
    success: [200],
    failure: 'SourcePing',
    baseQuery: search,
  }),
  'GET /images': ({query}) => ({
    run: async (client) => Object(await client.listImages(query)).manifests,
    value: json,
    success: [200],
  }),
  'GET /images/UUID': ({uuid, search}) => ({
    run: (client) => client.findImage(uuid),
    value: json,
    success: [200],
    absent: [404],
    baseQuery: search,
  }),
  'GET /images/UUID/file': ({uuid, search}) => ({
    run: async (client) => {
      const {body, md5, validator, totalBytes} = await client.openFile(uuid);
      return {bytes: await buffer(body), md5, validator, totalBytes};
    },
    value: (exchange) => ({
      bytes: bytes(exchange),
      md5: createHash('md5').update(bytes(exchange)).digest('hex'),
      validator: exchange.response!.headers.find(([name]) => name === 'Etag')?.[1],
      totalBytes: bytes(exchange).length,
    }),
    success: [200],
    baseQuery: search,
  }),
  'GET /images/UUID/icon': ({uuid, search}) => ({
    run: async (client) => (await client.findIcon(uuid))?.bytes,
    value: bytes,
    success: [200],
    absent: [404],
    baseQuery: search,
  }),
  'GET /channels': ({search}) => ({
    run: (client) => client.listChannels(),
    value: json,
    success: [200],
    absent: [404],
    baseQuery: search,
  }),
  'POST /images': ({search, body}) => write((client) => client.createImage(manifestIn(body)), search),
  'POST /images/UUID': ({uuid, query, body}) => {
    const {action, ...rest} = query;
    const search = String(new URLSearchParams(rest));
    if (action === 'activate') return write((client) => client.activate(uuid), search);
    if (action !== 'import' || 'source' in rest) return undefined;
    return write((client) => client.importImage({...manifestIn(body), uuid}), search);
  },
  'PUT /images/UUID/file': ({uuid, query, body}) => {
    const {compression, sha1: _, ...rest} = query;
    if (compression === undefined || 'source' in rest || body.length === 0) return undefined;
    const options = {
      body: () => Readable.from([body]),
      sizeBytes: body.length,
      sha1: createHash('sha1').update(body).digest('hex'),
      compression: compression as 'none',
    };
    return write((client) => client.addFile(uuid, options), String(new URLSearchParams(rest)));
  },
  'DELETE /images/UUID': ({uuid, search}) => ({
    run: (client) => client.deleteImage(uuid),
    value: () => undefined,
    success: [204],
    baseQuery: search,
  }),
};

function write(run: ClientCall['run'], baseQuery: string): ClientCall {
  return {run, value: json, success: [200], baseQuery};
}

/** The client only sends objects. */
function manifestIn(body: Buffer): ImageManifest {
  try {
    return Object(JSON.parse(body.toString()));
  } catch {
    return {} as ImageManifest;
  }
}

function hasRepeats(search: string): boolean {
  const names = [...new URLSearchParams(search).keys()];
  return new Set(names).size < names.length;
}
