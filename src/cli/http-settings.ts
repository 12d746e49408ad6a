/** How connections are made, from environment, configuration and flags (spec/imgadm.md §2.3; ux.md §9). */

import type {HttpSettings} from '../http/http-client.ts';
import {isYes} from './environment.ts';
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
}

export function httpSettings(inputs: HttpInputs): HttpSettings {
  const {env, log} = inputs;
  // As in imgadm https_proxy serves both schemes; users asked for upper case too.
  const setting = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY'].find((name) => env[name]);
  const proxy = setting && env[setting];
  const none = env.no_proxy || env.NO_PROXY;
  const extra = inputs.userAgentExtra ? ` ${inputs.userAgentExtra}` : '';
  return {
    userAgent: `imgctl/${packageVersion()}${inputs.isPull ? '' : ` (node/${process.versions.node})`}${extra}`,
    insecure: inputs.insecure ?? env.IMGADM_INSECURE === '1',
    retries: {count: inputs.retries},
    stallTimeoutMs: inputs.stallTimeoutMs,
    ...(inputs.limits && {limits: inputs.limits}),
    ...(isYes(env.IMGCTL_OFFLINE) && {offline: 'IMGCTL_OFFLINE is set'}),
    requestId: log.requestId,
    onExchange: (exchange) => log.debug({...exchange}, 'http exchange'),
    ...(proxy && {proxy: {http: proxy, https: proxy, setting, ...(none && {none})}}),
    ...(env.SSL_CERT_FILE && {caFile: env.SSL_CERT_FILE}),
  };
}
