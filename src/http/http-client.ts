/**
 * The only place that opens a network connection. Nothing is waited for without a time-out, nothing is read
 * into memory without a limit, and nothing is sent a second time once a byte of a body has been handed on.
 */
import type {IncomingHttpHeaders} from 'node:http';
import type {Readable} from 'node:stream';
import {ImgctlError} from '../errors.ts';
import {type Agents, createAgents} from './agents.ts';
import {GuardedBody} from './guarded-body.ts';
import {maskUrl} from './mask-url.ts';
import {networkError, reachOf} from './network-error.ts';
import type {ProxySettings} from './proxy-for.ts';
import {decodeBody, readBody} from './read-body.ts';
import {defaultMaxRedirects, redirectTarget} from './redirect.ts';
import {defaultRetries, isPassingStatus, pause, type RetrySettings, retryDelayMs} from './retry.ts';
import {type Method, type OutgoingRequest, type RawAnswer, type StreamedBody, send} from './send.ts';

export interface HttpSettings {
  userAgent: string;
  /** Sent as `x-request-id` with every request. */
  requestId?: string;
  proxy?: ProxySettings;
  insecure?: boolean;
  caFile?: string;
  connectTimeoutMs?: number;
  stallTimeoutMs?: number;
  retries?: Partial<RetrySettings>;
  limits?: Partial<HttpLimits>;
  /** Why nothing may be asked; every request is then refused with `Offline`. */
  offline?: string;
  /** Told of every try that ended: with an answer's headers, or with a failure. */
  onExchange?: (exchange: HttpExchange) => void;
}

/** What a server controls, beside bodies, whose limit comes with each request. */
export interface HttpLimits {
  /** Of one download. */
  redirects: number;
  /** All headers of one answer. */
  headerBytes: number;
}

export interface HttpExchange {
  method: Method;
  /** Without its secrets. */
  url: string;
  /** Undefined when no answer came; then `failure` says why. */
  status?: number;
  failure?: string;
  elapsedMs: number;
}

export interface RequestOptions {
  headers?: Record<string, string>;
  /** Headers that are made anew for each try; never sent to another origin, wherever a redirect leads. */
  authorize?: (() => Promise<Record<string, string>>) | undefined;
  signal?: AbortSignal;
  /** Of `openStream` alone. */
  maxRedirects?: number;
  /** Of `openStream` alone: says nothing about encodings, instead of asking for none. */
  anyEncoding?: boolean;
  /** What error messages call the peer instead of the full URL; passwords and tokens are masked either way. */
  shownUrl?: string;
}

export interface SmallRequestOptions extends RequestOptions {
  method?: Method;
  body?: Buffer;
  /** Greatest size of the answer's body, before and after decoding. */
  limitBytes: number;
}

export interface UploadOptions extends RequestOptions, StreamedBody {
  method?: 'POST' | 'PUT';
  limitBytes: number;
}

export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  /** Decoded. */
  body: Buffer;
  /** As received, which is what `Content-MD5` is about. */
  encodedBody: Buffer;
}

export interface StreamAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  /** Where the answer came from after redirects. */
  url: string;
  /** As received, never decoded; fails when it stalls or is cut. The caller destroys it. */
  body: Readable;
}

const defaultHeaderBytes = 16 * 1024;
const defaultConnectTimeoutMs = 15_000;
const defaultStallTimeoutMs = 60_000;
const digestTimeoutMs = 15 * 60_000;

/** Requests may overlap. Errors are `ClientError` with the URL in front, or the reason of the caller's signal. */
export class HttpClient {
  readonly #settings: HttpSettings;
  readonly #retries: RetrySettings;
  readonly #stallTimeoutMs: number;
  /** Reads share connections. Writes get their own: a reused one may be dead, and a write is not sent twice. */
  readonly #readAgents: Agents;
  readonly #writeAgents: Agents;

  constructor(settings: HttpSettings) {
    this.#settings = settings;
    this.#retries = {...defaultRetries, ...settings.retries};
    this.#stallTimeoutMs = settings.stallTimeoutMs ?? defaultStallTimeoutMs;
    const tunnelTimeoutMs = settings.connectTimeoutMs ?? defaultConnectTimeoutMs;
    this.#readAgents = createAgents(settings, settings.proxy, {keepAlive: true, tunnelTimeoutMs});
    this.#writeAgents = createAgents(settings, settings.proxy, {keepAlive: false, tunnelTimeoutMs});
  }

  /** For bodies that fit in memory. Redirects are answers; any status resolves. */
  async request(url: string, options: SmallRequestOptions): Promise<HttpAnswer> {
    const {limitBytes, method = 'GET', body, ...rest} = options;
    const headers = {'accept-encoding': 'gzip', ...options.headers};
    const answer = await this.#open(url, {...rest, headers, method, ...(body && {body})});
    return this.#collect(answer, url, options);
  }

  /** The same answers for bodies that are read piece by piece, which `decodedPieces` does. The caller destroys the body. */
  async requestStream(url: string, options: RequestOptions): Promise<Omit<StreamAnswer, 'url'>> {
    const headers = {'accept-encoding': 'gzip', ...options.headers};
    const answer = await this.#open(url, {...options, headers, method: 'GET'});
    return {...answer, body: this.#guard(answer, url, options)};
  }

  /** For files. Resolves with the headers; follows redirects, but never from https to http. */
  async openStream(url: string, options: RequestOptions = {}): Promise<StreamAnswer> {
    const encoding: Record<string, string> = options.anyEncoding ? {} : {'accept-encoding': 'identity'};
    const headers = {...encoding, ...options.headers};
    const maxRedirects = options.maxRedirects ?? this.#settings.limits?.redirects ?? defaultMaxRedirects;
    let current = url;
    for (let hops = 0; ; hops += 1) {
      const authorize = isSameOrigin(current, url) ? options.authorize : undefined;
      const answer = await this.#open(current, {...options, authorize, headers, method: 'GET'});
      try {
        const next = redirectTarget(answer, current, {hops, maxRedirects});
        if (next === undefined) return {...answer, url: current, body: this.#guard(answer, current, options)};
        current = next;
      } catch (error) {
        answer.body.destroy();
        throw error;
      }
      answer.body.destroy();
    }
  }

  /** Sends a body of known length from a stream; `open` is called again for a retry. */
  async upload(url: string, options: UploadOptions): Promise<HttpAnswer> {
    const {open, sizeBytes, method = 'PUT', ...rest} = options;
    const answer = await this.#open(url, {...rest, method, body: {open, sizeBytes}});
    return this.#collect(answer, url, options);
  }

  /** Drops idle connections. Requests under way are cut. */
  close(): void {
    this.#readAgents.destroy();
    this.#writeAgents.destroy();
  }

  /** The retry rule of spec/imgapi.md §7, made safe: a POST is repeated only if no server can have seen it. */
  async #open(
    url: string,
    options: RequestOptions & Pick<OutgoingRequest, 'method' | 'body'>,
  ): Promise<RawAnswer> {
    const request = this.#outgoing(url, options);
    for (let attempt = 0; ; attempt += 1) {
      const fresh = await options.authorize?.();
      const signed = {...request, headers: {...request.headers, ...fresh}};
      const outcome = await this.#try(signed, options.signal);
      const delayMs = this.#delayBeforeRetry(outcome, request.method, attempt);
      if (delayMs === undefined) {
        if ('error' in outcome) throw this.#failure(outcome.error, url, options);
        return outcome.answer;
      }
      if ('answer' in outcome) outcome.answer.body.destroy();
      await pause(delayMs, options.signal);
    }
  }

  async #try(request: OutgoingRequest, signal: AbortSignal | undefined): Promise<Outcome> {
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const start = performance.now();
    const tell = (outcome: Pick<HttpExchange, 'status' | 'failure'>): void => {
      const {method, url} = request;
      const elapsedMs = Math.round(performance.now() - start);
      this.#settings.onExchange?.({method, url: maskUrl(url), ...outcome, elapsedMs});
    };
    try {
      const answer = await send(request, {
        agents: isRead ? this.#readAgents : this.#writeAgents,
        connectTimeoutMs: this.#settings.connectTimeoutMs ?? defaultConnectTimeoutMs,
        stallTimeoutMs: this.#stallTimeoutMs,
        maxHeaderBytes: this.#settings.limits?.headerBytes ?? defaultHeaderBytes,
        digestTimeoutMs: Math.max(digestTimeoutMs, this.#stallTimeoutMs),
      });
      tell({status: answer.status});
      return {answer};
    } catch (error) {
      tell({failure: error instanceof Error ? error.message : String(error)});
      if (signal?.aborted) throw signal.reason;
      return {error};
    }
  }

  #delayBeforeRetry(outcome: Outcome, method: Method, attempt: number): number | undefined {
    if ('answer' in outcome) {
      const {status, headers} = outcome.answer;
      if (method !== 'GET' || !isPassingStatus(status)) return undefined;
      return retryDelayMs(this.#retries, attempt, headers['retry-after']);
    }
    const reach = reachOf(outcome.error);
    if (reach === 'final' || (reach === 'unknown' && method === 'POST')) return undefined;
    return retryDelayMs(this.#retries, attempt);
  }

  #outgoing(
    url: string,
    options: RequestOptions & Pick<OutgoingRequest, 'method' | 'body'>,
  ): OutgoingRequest {
    const scheme = URL.canParse(url) ? new URL(url).protocol : undefined;
    if (scheme !== 'http:' && scheme !== 'https:') {
      throw new ImgctlError('InvalidArgument', `"${maskUrl(url)}" is not an http or https URL`);
    }
    const {requestId, offline} = this.#settings;
    if (offline !== undefined) {
      const shown = maskUrl(options.shownUrl ?? url);
      throw new ImgctlError('Offline', `${shown}: not asked: ${offline}`, {
        details: {url: shown, reason: `not asked: ${offline}`},
      });
    }
    const {method, body, signal} = options;
    return {
      method,
      url,
      headers: {
        'user-agent': this.#settings.userAgent,
        ...(requestId !== undefined && {'x-request-id': requestId}),
        ...options.headers,
      },
      ...(body && {body}),
      ...(signal && {signal}),
    };
  }

  async #collect(
    answer: RawAnswer,
    url: string,
    options: RequestOptions & {limitBytes: number},
  ): Promise<HttpAnswer> {
    const subject = maskUrl(options.shownUrl ?? url);
    const encodedBody = await readBody(this.#guard(answer, url, options), options.limitBytes, subject);
    const encoding = answer.headers['content-encoding'];
    const body = await decodeBody(encodedBody, encoding, {bytes: options.limitBytes, subject});
    return {status: answer.status, headers: answer.headers, body, encodedBody};
  }

  #failure(error: unknown, url: string, {shownUrl}: RequestOptions): ImgctlError {
    return networkError(error, url, {...this.#settings, shownUrl});
  }

  #guard(answer: RawAnswer, url: string, options: RequestOptions): Readable {
    return new GuardedBody(answer.body, {
      direct: answer.direct,
      stallTimeoutMs: this.#stallTimeoutMs,
      asError: (error) =>
        options.signal?.aborted ? options.signal.reason : this.#failure(error, url, options),
    });
  }
}

function isSameOrigin(a: string, b: string): boolean {
  return a === b || (URL.canParse(a) && URL.canParse(b) && new URL(a).origin === new URL(b).origin);
}

type Outcome = {answer: RawAnswer} | {error: unknown};
