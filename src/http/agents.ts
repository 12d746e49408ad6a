import {readFileSync} from 'node:fs';
import type {Agent as HttpAgent} from 'node:http';
import {Agent as HttpsAgent} from 'node:https';
import {createSecureContext, getCACertificates} from 'node:tls';
import {ImgctlError} from '../errors.ts';
import {DirectAgent} from './direct-agent.ts';

/** URLs of proxies by the scheme of the request; `none` lists hosts that are asked directly, comma-separated. */
export interface ProxySettings {
  http?: string;
  https?: string;
  none?: string;
  /** What named the proxy, for messages. */
  setting?: string;
}

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
  return {
    forUrl(url) {
      if (!url.startsWith('https:')) return {http};
      // Built at the first use: reading the system's certificates costs more than a plain request.
      https ??= new HttpsAgent({...shared, ...tlsOptions(trust)});
      return {https};
    },
    destroy() {
      http.destroy();
      https?.destroy();
    },
  };
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
