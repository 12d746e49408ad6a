/** URLs of pulls as import1 reads them (spec/import1-dbus.md §6, spec/importctl.md §3): as text, with nothing decoded. */
import {ImgctlError} from '../errors.ts';

const httpUrl = /^https?:\/\/./s;
const fileUrl = /^file:\/./s;

/** Begins exactly `http://`, `https://` or `file:/`, goes on with something, and is ASCII. */
export function isPullUrl(url: string): boolean {
  return (httpUrl.test(url) || fileUrl.test(url)) && isAscii(url);
}

export function isFileUrl(url: string): boolean {
  return url.startsWith('file:');
}

/** The last path component, without query and fragment; fails with `InvalidArgument` where there is none. */
export function lastUrlComponent(url: string): string {
  const {pathStart, pathEnd} = pathOf(url);
  const path = url.slice(pathStart, pathEnd).replace(/\/+$/, '');
  const component = path.slice(path.lastIndexOf('/') + 1);
  if (component !== '') return component;
  throw new ImgctlError('InvalidArgument', `URL "${url}" has no final component to take a name from`);
}

/** The URL with its last component replaced, and without query and fragment. */
export function siblingUrl(url: string, name: string): string {
  const path = url.slice(0, pathOf(url).pathEnd).replace(/\/+$/, '');
  return `${path.slice(0, path.lastIndexOf('/') + 1)}${name}`;
}

/** Where the path lies: behind the scheme, any slashes, and what stands for a host. */
function pathOf(url: string): {pathStart: number; pathEnd: number} {
  const [start] = /^[^:]+:\/*[^/?#]+/.exec(url) ?? [];
  if (start === undefined) throw new ImgctlError('InvalidArgument', `URL "${url}" names no host`);
  const [path = ''] = /^[^?#]*/.exec(url.slice(start.length)) ?? [];
  return {pathStart: start.length, pathEnd: start.length + path.length};
}

function isAscii(text: string): boolean {
  return Array.from(text).every((character) => character > '\0' && character <= '\x7f');
}
