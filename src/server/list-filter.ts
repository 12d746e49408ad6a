import {channelOf, isInChannel} from './channels.ts';
import type {Exchange} from './exchange.ts';
import {refusals} from './refusals.ts';
import type {ServerContext, ServerMode} from './server-context.ts';
import type {StoredImage} from './stored-image.ts';
import {isVisibleTo} from './visible-image.ts';

export type ImageFilter = (image: StoredImage) => boolean;

const states = new Set(['active', 'disabled', 'unactivated', 'all', 'creating', 'failed']);

/** Longer tag values, and objects, are only found by the empty text (spec/imgapi.md §3.2). */
const maxIndexedLength = 100;

/** What the query of ListImages selects. A parameter given twice must hold twice; unknown ones are ignored. */
export function listFilter(exchange: Exchange, context: ServerContext): ImageFilter {
  const channel = channelOf(exchange, context, 'read');
  checkAdminFields(exchange);
  const filters: ImageFilter[] = [
    (image) => isInChannel(image, channel, context),
    ...[stateFilter(exchange), publicFilter(exchange), accountFilter(exchange, context.mode)],
  ];
  for (const [name, value] of exchange.query) filters.push(fieldFilter(name, value));
  return (image) => filters.every((filter) => filter(image));
}

/** Only users may ask for the fields of operators. */
export function checkAdminFields(exchange: Exchange): void {
  if (exchange.booleanParameter('inclAdminFields') !== true || exchange.user !== undefined) return;
  throw refusals.unauthorized('auth required to use "inclAdminFields" parameter');
}

/** Who is not authenticated sees active images only; `all` then means those, the other states nothing. */
function stateFilter(exchange: Exchange): ImageFilter {
  const state = exchange.query.get('state') ?? 'active';
  if (!states.has(state)) throw refusals.invalidParameter('state', `invalid state: "${state}"`);
  if (exchange.user !== undefined) return (image) => state === 'all' || image.state === state;
  const isShown = state === 'active' || state === 'all';
  return (image) => isShown && image.state === 'active';
}

function publicFilter(exchange: Exchange): ImageFilter {
  const wanted = exchange.booleanParameter('public');
  return ({isPublic}) => wanted === undefined || isPublic === wanted;
}

function accountFilter(exchange: Exchange, mode: ServerMode): ImageFilter {
  const {account} = exchange;
  return (image) => account === undefined || mode === 'public' || isVisibleTo(image, account);
}

function fieldFilter(name: string, value: string): ImageFilter {
  if (name === 'name' || name === 'version') return (image) => matches(image[name], value);
  if (name === 'os' || name === 'owner') return (image) => image[name] === value;
  if (name === 'type') {
    return ({type}) => (value.startsWith('!') ? type !== value.slice(1) : type === value);
  }
  if (name === 'billing_tag') return (image) => listOf(image.readManifest().billing_tags).includes(value);
  if (name.startsWith('tag.')) return tagFilter(name.slice('tag.'.length), value);
  return () => true;
}

function matches(text: string, wanted: string): boolean {
  return wanted.startsWith('~') ? text.includes(wanted.slice(1)) : text === wanted;
}

function tagFilter(key: string, wanted: string): ImageFilter {
  return (image) => {
    const tags = image.readManifest().tags ?? {};
    return Object.hasOwn(tags, key) && indexedText(tags[key]) === wanted;
  };
}

function indexedText(value: unknown): string {
  const text = typeof value === 'object' && value !== null ? '' : String(value);
  return text.length > maxIndexedLength ? '' : text;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
