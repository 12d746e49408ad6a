import {ImgctlError} from '../errors.ts';

/** A source's URL taken apart: what requests go to, and the channel they name (spec/imgapi.md §5). */
export interface SourceUrl {
  /** Scheme, host and path without a trailing slash. */
  base: string;
  channel: string | undefined;
  /** The rest of the query, sent along with every request. */
  query: [name: string, value: string][];
}

/** The form in which two source URLs are compared (spec/imgadm.md §5.1); for nothing else. */
export function normaliseUrl(text: string): string {
  const url = parse(text);
  return `${beforePath(url)}${url.pathname.replace(/\/$/, '')}${url.search}`;
}

/** Throws `InvalidArgument` for what is not an http or https URL. */
export function parseSourceUrl(text: string): SourceUrl {
  const url = parse(text);
  const query = [...url.searchParams].filter(([name]) => name !== 'channel');
  return {
    base: `${beforePath(url)}${url.pathname.replace(/\/$/, '')}`,
    channel: url.searchParams.get('channel') || undefined,
    query,
  };
}

function parse(text: string): URL {
  const absolute = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(absolute)) throw notUsable(text);
  const url = new URL(absolute);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw notUsable(text);
  return url;
}

function notUsable(text: string): ImgctlError {
  return new ImgctlError('InvalidArgument', `source URL "${text}" is not an http or https URL`);
}

function beforePath(url: URL): string {
  const user = url.username === '' ? '' : `${url.username}${url.password && `:${url.password}`}@`;
  return `${url.protocol}//${user}${url.host}`;
}
