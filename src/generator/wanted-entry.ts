/** One entry of a wanted.d file, checked by hand: a schema compiler would cost more than the whole start. */

import {isImageClass} from '../import1/image-class.ts';
import {isImageName} from '../import1/image-name.ts';
import {stripSuffixes} from '../import1/local-name.ts';
import {isPullUrl} from '../import1/pull-url.ts';
import type {ImageWish, PullWish, Wish} from '../import1/pull-wish.ts';
import {hasControlCharacter} from './control-characters.ts';
import {lastUrlComponent} from './url-name.ts';

/** Kind of each field; those of one form only are told apart below. */
const fields: Readonly<Record<string, 'string' | 'boolean' | 'number'>> = {
  image: 'string',
  channel: 'string',
  url: 'string',
  type: 'string',
  class: 'string',
  name: 'string',
  verify: 'string',
  readOnly: 'boolean',
  runtime: 'boolean',
  blockdev: 'boolean',
  refresh: 'boolean',
  retry: 'number',
};
const ofImages = ['image', 'channel', 'class', 'name', 'retry'];

type Entry = Record<string, string | boolean | number | undefined>;

class Problem extends Error {}

/** The wish, its texts as bytes (latin1); or what is wrong with the entry. */
export function parseWantedEntry(value: unknown): {wish: Wish} | {problem: string} {
  try {
    const entry = checkFields(value);
    return {wish: entry.image === undefined ? pullWish(entry) : imageWish(entry)};
  } catch (error) {
    if (error instanceof Problem) return {problem: error.message};
    throw error;
  }
}

function checkFields(value: unknown): Entry {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Problem('it is not an object');
  for (const [key, member] of Object.entries(value)) {
    const kind = Object.hasOwn(fields, key) ? fields[key] : undefined;
    if (kind === undefined) throw new Problem(`unknown field ${JSON.stringify(key)}`);
    if (typeof member !== kind) throw new Problem(`"${key}" must be a ${kind}`);
    if (typeof member === 'string' && (hasControlCharacter(member) || !member.isWellFormed()))
      throw new Problem(`"${key}" has a control character`);
  }
  return value as Entry;
}

function imageWish(entry: Entry): ImageWish {
  const other = Object.keys(entry).find((key) => !ofImages.includes(key));
  if (other !== undefined) throw new Problem(`"${other}" is for entries with a "url"`);
  const image = String(entry.image);
  if (!/^[^-\s]\S*$/.test(image)) throw new Problem(`"image" is not the name of an image: "${image}"`);
  return {
    image: bytes(image),
    imageClass: imageClassOf(entry),
    localName: localNameOf(entry),
    channel: entry.channel === undefined ? undefined : bytes(String(entry.channel)),
    retries: retriesOf(entry),
  };
}

function pullWish(entry: Entry): PullWish {
  const {url, type} = entry;
  if (url === undefined) throw new Problem('it has neither "image" nor "url"');
  if (entry.channel !== undefined) throw new Problem('"channel" is for entries with an "image"');
  if (!isPullUrl(String(url))) throw new Problem(`"url" is not a valid URL: "${url}"`);
  if (type !== 'raw' && type !== 'tar') throw new Problem('"type" must be "raw" or "tar"');
  if (entry.blockdev && type !== 'raw') throw new Problem('"blockdev" is only for raw images');
  return {
    url: String(url),
    type,
    imageClass: imageClassOf(entry),
    localName: localNameOf(entry) ?? nameFromUrl(String(url), type),
    verify: verifyOf(entry),
    readOnly: entry.readOnly === true,
    runtime: entry.runtime === true,
    blockdev: entry.blockdev === true,
    // A file says what is to be there, so what is there is good.
    skipIfPresent: entry.refresh !== true,
    refresh: entry.refresh === true,
    retries: retriesOf(entry),
  };
}

function imageClassOf(entry: Entry): Wish['imageClass'] {
  const text = String(entry.class ?? '');
  if (isImageClass(text)) return text;
  throw new Problem('"class" must be "machine", "portable", "sysext" or "confext"');
}

function localNameOf(entry: Entry): string | undefined {
  if (entry.name === undefined) return undefined;
  const name = String(entry.name);
  if (!isImageName(name)) throw new Problem(`"name" is not a valid image name: "${name}"`);
  return bytes(name);
}

function nameFromUrl(url: string, type: 'raw' | 'tar'): string {
  const component = lastUrlComponent(url);
  const name = 'name' in component ? stripSuffixes(component.name, type) : '';
  if (!isImageName(name)) throw new Problem(`no name follows from the URL "${url}"; give one as "name"`);
  return name;
}

function verifyOf(entry: Entry): PullWish['verify'] {
  const text = entry.verify ?? 'signature';
  if (text === 'no' || text === 'checksum' || text === 'signature') return text;
  if (/^[0-9A-Fa-f]{64}$/.test(String(text))) return {sha256: String(text).toLowerCase()};
  throw new Problem('"verify" must be "no", "checksum", "signature" or a SHA-256 digest');
}

function retriesOf(entry: Entry): number {
  const count = Number(entry.retry ?? 0);
  if (Number.isInteger(count) && count >= 0 && count <= 999) return count;
  throw new Problem('"retry" must be a number from 0 to 999');
}

function bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
