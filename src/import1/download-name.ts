/**
 * Names of download copies: the hidden, read-only copies that pulls keep beside the images, named so that systemd-importd
 * finds ours and we find its (spec/engine.md §1). Pure text.
 */
import {sipHash24} from './siphash.ts';

export type DownloadFormat = 'tar' | 'raw';

const escapedCharacters = new Set('\\/.#"\'');
/** importd hashes the URL when the whole path has this length or more: _POSIX_PATH_MAX less what temporary names add. */
const hashFromLength = 240;
const hashKey = Buffer.from('df89168701cc423098ab4a19a6a5634f', 'hex');

/** Bytes that a file name should not have, and all outside ASCII, as `\xNN`. */
export function escapeForName(text: string): string {
  let escaped = '';
  for (const byte of Buffer.from(text)) {
    const character = String.fromCharCode(byte);
    const isPlain = byte >= 0x20 && byte < 0x7f && !escapedCharacters.has(character);
    escaped += isPlain ? character : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return escaped;
}

/** Undoes `escapeForName`; undefined for what that never writes. */
export function unescapeName(text: string): string | undefined {
  const bytes: number[] = [];
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (text[index] !== '\\') {
      if (code < 0x20 || code >= 0x7f) return undefined;
      bytes.push(code);
      continue;
    }
    const [, hex] = /^\\x([0-9a-f]{2})/.exec(text.slice(index)) ?? [];
    if (hex === undefined) return undefined;
    bytes.push(Number.parseInt(hex, 16));
    index += 3;
  }
  return Buffer.from(bytes).toString();
}

/** What stands for a URL in a name that would be too long with it. */
export function hashOfUrl(url: string): string {
  return sipHash24(Buffer.from(url), hashKey).toString(16);
}

export interface DownloadNameParts {
  format: DownloadFormat;
  url: string;
  /** As the server sent it, quotes and `W/` included. */
  etag: string | undefined;
  /** What follows: `.raw` for a disk image, nothing for a tree, or the suffix of a file beside it. */
  suffix: string;
}

/** The name in `directory`, on whose length it depends. */
export function downloadName(directory: string, {format, url, etag, suffix}: DownloadNameParts): string {
  const nameWith = (shownUrl: string) =>
    `.${format}-${shownUrl}${etag === undefined ? '' : `.${escapeForName(etag)}`}${suffix}`;
  const name = nameWith(escapeForName(url));
  const isLong = Buffer.byteLength(`${directory}/${name}`) >= hashFromLength;
  return isLong ? nameWith(hashOfUrl(url)) : name;
}

/** The validator in the name of a download copy of that URL; undefined if it is none, or has no validator. */
export function etagOfName(
  name: string,
  {format, url, suffix}: Omit<DownloadNameParts, 'etag'>,
): string | undefined {
  const starts = [escapeForName(url), hashOfUrl(url)].map((shownUrl) => `.${format}-${shownUrl}.`);
  const start = starts.find((candidate) => name.startsWith(candidate));
  if (start === undefined || !name.endsWith(suffix)) return undefined;
  const escaped = name.slice(start.length, name.length - suffix.length);
  // An escaped validator has no dot: with one it is another file of the copy.
  return escaped === '' || escaped.includes('.') ? undefined : unescapeName(escaped);
}
