/**
 * Warnings about choices that let others decide what comes (ux.md §7.2): one wording, given with --quiet too. The old
 * names have those of the old programs, which are none.
 */

import {maskUrl} from '../http/mask-url.ts';

/** Of a request that was made; undefined when nobody on the way could have answered it. */
export function insecureRequest(url: string, isUnchecked: boolean): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const {protocol, origin, hostname} = new URL(url);
  if (protocol === 'http:' && !isLoopback(hostname)) return choice(`"${origin}" is asked without TLS`);
  if (protocol === 'https:' && isUnchecked) return choice(`the certificate of "${origin}" is not checked`);
  return undefined;
}

/** Of a pull that asks for no verification. */
export function unverifiedPull(url: string): string {
  return choice(`"${maskUrl(url)}" is pulled with --verify=no`);
}

function choice(what: string): string {
  return `insecure: ${what}, so what comes may be anybody's`;
}

function isLoopback(hostname: string): boolean {
  return /^(?:localhost|.+\.localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);
}
