/** Which proxy a request goes through, for messages: Node's agents choose it, by the same rules. */

import {maskUrl} from './mask-url.ts';

/** URLs of proxies by the scheme of the request; `none` lists hosts that are asked directly, comma-separated. */
export interface ProxySettings {
  http?: string;
  https?: string;
  none?: string;
  /** What named the proxy, for messages. */
  setting?: string;
}

/** `by way of the proxy "URL" (SETTING)`; undefined when the host is asked directly. */
export function proxyText(url: string, proxy: ProxySettings | undefined): string | undefined {
  if (proxy === undefined || !URL.canParse(url)) return undefined;
  const {protocol, hostname, port} = new URL(url);
  const used = protocol === 'https:' ? proxy.https : proxy.http;
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  if (used === undefined || isDirect(host, port || (protocol === 'https:' ? '443' : '80'), proxy.none))
    return undefined;
  return `by way of the proxy "${maskUrl(used)}"${proxy.setting === undefined ? '' : ` (${proxy.setting})`}`;
}

/** https://nodejs.org/api/http.html#built-in-proxy-support: hosts, domains with a dot or star in front, `*`, with a port. */
export function isDirect(host: string, port: string, none = ''): boolean {
  return none
    .toLowerCase()
    .split(',')
    .map((entry) => entry.trim())
    .some((entry) => {
      if (entry === '') return false;
      if (entry === '*') return true;
      const [, name = entry, entryPort] = /^(.*):(\d+)$/.exec(entry) ?? [];
      if (entryPort !== undefined && entryPort !== port) return false;
      const domain = name.replace(/^\*?\./, '.');
      return domain.startsWith('.') ? host.endsWith(domain) || host === domain.slice(1) : host === domain;
    });
}
