/** How connections are made, from environment, configuration and flags (spec/imgadm.md §2.3; ux.md §9). */

import type {HttpSettings} from '../http/http-client.ts';
import {maskUrl} from '../http/mask-url.ts';
import {forbidCoreDumps} from '../sys/core-dumps.ts';
import {isYes} from './environment.ts';
import {insecureRequest} from './insecure-choices.ts';
import type {Log} from './log.ts';
import {packageVersion} from './package-root.ts';

export interface HttpInputs {
  env: Readonly<Record<string, string | undefined>>;
  log: Log;
  /** The source's own setting, which wins over the environment. */
  insecure: boolean | undefined;
  userAgentExtra: string | undefined;
  /** Says no more than name and version, as importd does for pulls (spec/engine.md §2). */
  isPull?: boolean;
  retries: number;
  limits?: {redirects?: number; headerBytes?: number};
  stallTimeoutMs: number;
  warn(text: string): void;
}

export function httpSettings(inputs: HttpInputs): HttpSettings {
  const {env, log, isPull = false} = inputs;
  // As in imgadm https_proxy serves both schemes; users asked for upper case too.
  const setting = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY'].find((name) => env[name]);
  const proxy = setting && env[setting];
  if (proxy && maskUrl(proxy) !== proxy) forbidCoreDumps();
  const none = env.no_proxy || env.NO_PROXY;
  const insecure = inputs.insecure ?? env.IMGADM_INSECURE === '1';
  const extra = inputs.userAgentExtra ? ` ${inputs.userAgentExtra}` : '';
  return {
    userAgent: `imgctl/${packageVersion()}${isPull ? '' : ` (node/${process.versions.node})`}${extra}`,
    insecure,
    retries: {count: inputs.retries},
    stallTimeoutMs: inputs.stallTimeoutMs,
    ...(inputs.limits && {limits: inputs.limits}),
    ...(isYes(env.IMGCTL_OFFLINE) && {offline: 'IMGCTL_OFFLINE is set'}),
    requestId: log.requestId,
    onExchange: (exchange) => {
      log.debug({...exchange}, 'http exchange');
      // What vouches for a pull is told by its verification, not by the way it came.
      const isAnswered = exchange.status !== undefined && !isPull;
      const warning = isAnswered ? insecureRequest(exchange.url, insecure) : undefined;
      if (warning !== undefined) inputs.warn(warning);
    },
    ...(proxy && {proxy: {http: proxy, https: proxy, setting, ...(none && {none})}}),
    ...(env.SSL_CERT_FILE && {caFile: env.SSL_CERT_FILE}),
  };
}
