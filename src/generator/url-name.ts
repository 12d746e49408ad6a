/**
 * Names from URLs, told apart as systemd's generator tells them: a URL without a host, and one without a last component. Nothing is
 * percent-decoded.
 */

/** Why a URL has no last component: no host, or nothing after the host. */
export type UrlNameProblem = 'no-host' | 'no-component';

interface UrlParts {
  /** Scheme, slashes and host. */
  base: string;
  /** What follows the host, without query, fragment and final slashes. */
  path: string;
}

function splitUrl(url: string): UrlParts | undefined {
  const match = /^([A-Za-z][A-Za-z0-9+.-]*:\/*[^/?#]+)([^?#]*)/.exec(url);
  if (!match) return undefined;
  return {base: match[1] ?? '', path: (match[2] ?? '').replace(/\/+$/, '')};
}

/** The last component of a URL's path. */
export function lastUrlComponent(url: string): {name: string} | {problem: UrlNameProblem} {
  const parts = splitUrl(url);
  if (!parts) return {problem: 'no-host'};
  const name = parts.path.slice(parts.path.lastIndexOf('/') + 1);
  return name === '' ? {problem: 'no-component'} : {name};
}

/** The URL with its last component, query and fragment replaced; undefined if it has no host. */
export function replaceLastUrlComponent(url: string, replacement: string): string | undefined {
  const parts = splitUrl(url);
  if (!parts) return undefined;
  const parent = parts.path.slice(0, parts.path.lastIndexOf('/') + 1).replace(/\/+$/, '');
  return `${parts.base}${parent}/${replacement}`;
}
