import {readFileSync} from 'node:fs';
import type {ClientRequestArgs, Agent as HttpAgent} from 'node:http';
import {Agent as HttpsAgent} from 'node:https';
import type {Socket} from 'node:net';
import type {Duplex} from 'node:stream';
import {createSecureContext, getCACertificates} from 'node:tls';
import {ImgctlError} from '../errors.ts';
import {DirectAgent} from './direct-agent.ts';
import {isDirect, type ProxySettings} from './proxy-for.ts';

export interface TrustSettings {
  /** No certificate check at all. */
  insecure?: boolean;
  /** PEM file with more root certificates, beside Node's and the system's. */
  caFile?: string;
}

export interface Agents {
  forUrl(url: string): {http: HttpAgent} | {https: HttpsAgent};
  /** Closes every connection, those in use too. */
  destroy(): void;
}

export interface PoolSettings {
  /** Without it each request has its own connection. */
  keepAlive: boolean;
  /** How long a proxy may take to make a tunnel, of which nobody but the agent knows. */
  tunnelTimeoutMs: number;
}

/** The connection pools of one client. */
export function createAgents(
  trust: TrustSettings,
  proxy: ProxySettings | undefined,
  {keepAlive, tunnelTimeoutMs}: PoolSettings,
): Agents {
  const proxied = proxy && {proxyEnv: proxyEnvironment(proxy), timeout: tunnelTimeoutMs};
  const shared = {keepAlive, ...proxied};
  const http = new DirectAgent(shared);
  let https: HttpsAgent | undefined;
  const options = () => ({...shared, ...tlsOptions(trust)});
  return {
    forUrl(url) {
      if (!url.startsWith('https:')) return {http};
      // Built at the first use: reading the system's certificates costs more than a plain request.
      https ??=
        proxy?.https === undefined
          ? new HttpsAgent(options())
          : new TunnelAgent(options(), proxy, tunnelTimeoutMs);
      return {https};
    },
    destroy() {
      http.destroy();
      https?.destroy();
    },
  };
}

/**
 * As its parent, but for a tunnel that is being made, or in which the server says nothing to the handshake: of that Node's agent
 * knows nothing, so a request that gave up would leave the connection open, and the process waiting for it.
 */
class TunnelAgent extends HttpsAgent {
  readonly #proxy: ProxySettings;
  readonly #tunnelTimeoutMs: number;

  constructor(options: object, proxy: ProxySettings, tunnelTimeoutMs: number) {
    super(options);
    this.#proxy = proxy;
    this.#tunnelTimeoutMs = tunnelTimeoutMs;
  }

  override createConnection(
    options: ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const port = options.port ?? options.defaultPort ?? 443;
    if (isDirect(options.host ?? '', String(port), this.#proxy.none))
      return super.createConnection(options, callback);
    // The handshake is done by a socket that nobody sees before its end; it takes the signal from the options.
    const setup = new AbortController();
    const timeoutMs = 2 * this.#tunnelTimeoutMs; // the tunnel has its own time, and the handshake as much
    const timer = setTimeout(() => {
      setup.abort();
      socket?.destroy();
    }, timeoutMs).unref();
    const settled = (error: Error | null, stream: Duplex) => {
      clearTimeout(timer);
      if (!error) (stream as Socket).ref();
      callback?.(setup.signal.aborted ? tooSlow(timeoutMs) : error, stream);
    };
    const withSignal = {...options, signal: setup.signal};
    const socket = super.createConnection(withSignal, settled) as Socket | undefined;
    // Who waits for it has a timer that keeps the process.
    socket?.unref();
    return socket;
  }
}

function tooSlow(timeoutMs: number): Error {
  const error = new Error(`no TLS connection through the tunnel of the proxy within ${timeoutMs} ms`);
  return Object.assign(error, {code: 'ETIMEDOUT'});
}

function tlsOptions(trust: TrustSettings): object {
  if (trust.insecure === true) return {rejectUnauthorized: false};
  const roots = new Set([...getCACertificates('default'), ...getCACertificates('system')]);
  if (trust.caFile !== undefined) roots.add(readCaFile(trust.caFile));
  return {rejectUnauthorized: true, secureContext: createSecureContext({ca: [...roots]})};
}

function readCaFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ImgctlError('ConfigError', `cannot read CA file "${path}"`, {cause: error});
  }
}

/** Node's agents take proxies in the form of environment variables. */
function proxyEnvironment(proxy: ProxySettings): Record<string, string> {
  return {
    ...(proxy.http === undefined ? {} : {http_proxy: proxy.http}),
    ...(proxy.https === undefined ? {} : {https_proxy: proxy.https}),
    ...(proxy.none === undefined ? {} : {no_proxy: proxy.none}),
  };
}
