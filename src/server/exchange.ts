import {createHash} from 'node:crypto';
import type {IncomingMessage, ServerResponse} from 'node:http';
import type {ServerError} from '../errors.ts';
import {type ImageManifest, isUuid} from '../manifest/manifest.ts';
import {orderForWire} from '../manifest/server-answer.ts';
import type {ApiVersion} from './api-version.ts';
import {checkPreconditions, isNotModified, type Version} from './conditions.ts';
import {refusals} from './refusals.ts';
import type {ServerContext} from './server-context.ts';
import type {StoredImage} from './stored-image.ts';

type Headers = Record<string, string | number>;

/** One request and its answer, in the terms of the protocol. Each is answered exactly once. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly query: URLSearchParams;
  apiVersion: ApiVersion = 1;
  /** Who sent the request; undefined when it does not say, and on servers without users. */
  user: string | undefined;
  /** Set by endpoints whose answer always has what is meant for operators. */
  isForOperators = false;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.response = response;
    const [path = '/', query = ''] = (request.url ?? '/').split(/\?(.*)/s);
    this.path = path;
    this.query = new URLSearchParams(query);
  }

  get method(): string {
    return this.request.method ?? 'GET';
  }

  /** The image's UUID from `/images/:uuid…`; anything else there is no path of ours. */
  get uuid(): string {
    const text = this.path.split('/')[2];
    if (!isUuid(text)) throw refusals.noSuchPath(this.request.url ?? this.path);
    return text;
  }

  /** A query parameter that must be `true` or `false`; undefined when absent. */
  booleanParameter(name: string): boolean | undefined {
    const value = this.query.get(name);
    if (value === null) return undefined;
    if (value !== 'true' && value !== 'false') throw refusals.notBoolean(name, value);
    return value === 'true';
  }

  /** Whether a user asks for what is meant for operators. */
  get withAdminFields(): boolean {
    if (this.isForOperators) return true;
    return this.user !== undefined && this.query.get('inclAdminFields') === 'true';
  }

  /** The account a request is made for; checked to be a UUID. */
  get account(): string | undefined {
    const account = this.query.get('account');
    if (account === null) return undefined;
    if (isUuid(account)) return account;
    throw refusals.invalidParameter('account', `invalid "account": not a UUID: "${account}"`);
  }

  send(status: number, headers: Headers = {}, body?: string | Buffer): void {
    const length = body === undefined ? {} : {'Content-Length': Buffer.byteLength(body)};
    this.response.writeHead(status, {...headers, ...length}).end(this.method === 'HEAD' ? undefined : body);
  }

  /** The form JSON goes out in: indented, or compact for a client that wants plain text only. */
  get jsonType(): 'application/json' | 'text/plain' {
    return acceptedType(this.request.headers.accept) ?? 'application/json';
  }

  sendJson(status: number, value: unknown, headers: Headers = {}): void {
    const type = this.jsonType;
    const body = type === 'text/plain' ? JSON.stringify(value) : JSON.stringify(value, null, 2);
    this.send(status, {...headers, 'Content-Type': type}, body);
  }

  /** Answers with the manifest as clients see it, or 304; its Etag is the SHA-1 of its compact JSON. */
  sendImage(image: StoredImage, context: ServerContext): void {
    const shown = this.shownManifest(image, context);
    const version = versionOf(image, shown);
    const isRead = this.method === 'GET' || this.method === 'HEAD';
    if (isRead) checkPreconditions(this.request.headers, version);
    if (isRead && isNotModified(this.request.headers, version)) this.send(304);
    else this.sendJson(200, shown, {Etag: version.etag});
  }

  shownManifest(image: StoredImage, context: ServerContext): ImageManifest {
    const {withAdminFields, apiVersion} = this;
    const kept = image.readManifest();
    const files = (kept.files ?? []).map((file) => (withAdminFields ? {...file, stor: 'local'} : file));
    const manifest = {...kept, files, icon: image.icon !== undefined};
    return orderForWire(manifest, {mode: context.mode, apiVersion, withAdminFields});
  }

  /** `If-Match` and `If-Unmodified-Since` of a write, against the image as it is before. */
  checkPreconditions(image: StoredImage, context: ServerContext): void {
    checkPreconditions(this.request.headers, versionOf(image, this.shownManifest(image, context)));
  }

  sendError(error: ServerError, headers: Headers = {}): void {
    const {serverCode: code, message, items, statusCode} = error;
    const hasItems = items.length > 0 || code === 'ValidationFailed';
    this.sendJson(statusCode, {code, message, ...(hasItems && {errors: items})}, headers);
  }
}

/** The content type an `Accept` header leaves us; undefined when it wants something we do not have. */
export function acceptedType(accept: string | undefined): 'application/json' | 'text/plain' | undefined {
  const types = (accept ?? '*/*').split(',').map((part) => part.split(';')[0]?.trim());
  const isAccepted = (type: string) => types.includes(type);
  if (['*/*', 'application/*', 'application/json', 'application/octet-stream'].some(isAccepted)) {
    return 'application/json';
  }
  return ['text/*', 'text/plain'].some(isAccepted) ? 'text/plain' : undefined;
}

/** Dates of manifests are not sent; a change within the second of a client's own clock must not be missed. */
function versionOf(image: StoredImage, shown: ImageManifest): Version {
  const etag = createHash('sha1').update(JSON.stringify(shown)).digest('hex');
  return {etag, modifiedAt: new Date(Math.ceil(image.changedAt.getTime() / 1000) * 1000)};
}

export type Endpoint = (exchange: Exchange, context: ServerContext) => Promise<void> | void;
