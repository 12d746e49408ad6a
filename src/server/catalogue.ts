/**
 * The catalogue for people: what a browser gets where programs get the list of images. A page at a time, searched by
 * the query, without scripts; names and texts of images are other people's and are only ever shown as text.
 */
import {createHash} from 'node:crypto';
import {type CatalogueView, cataloguePage} from './catalogue-page.ts';
import {stylesheet} from './catalogue-style.ts';
import {channelOf, everyChannel} from './channels.ts';
import {isNotModified} from './conditions.ts';
import type {Endpoint, Exchange} from './exchange.ts';
import {listFilter} from './list-filter.ts';
import type {ServerContext} from './server-context.ts';
import type {StoredImage} from './stored-image.ts';

const pageSize = 50;

const headers = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy':
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  Vary: 'Accept, Host',
};

/** Whether the client is a browser: one that names HTML and does not name JSON. */
export function wantsPage(accept: string | undefined): boolean {
  const types = (accept ?? '').split(',').map((part) => part.split(';')[0]?.trim());
  return types.includes('text/html') && !types.includes('application/json');
}

export const catalogue: Endpoint = (exchange, context) => {
  exchange.apiVersion = 2;
  const body = cataloguePage(viewOf(exchange, context)).text;
  const etag = createHash('sha1').update(body).digest('hex');
  // By its tag only: the page is more than what it lists.
  if (isNotModified(exchange.request.headers, {etag, modifiedAt: new Date(Number.NaN)})) {
    exchange.send(304, {Etag: etag, Vary: headers.Vary});
  } else exchange.send(200, {...headers, Etag: etag}, body);
};

export const redirectToImages: Endpoint = (exchange) => {
  exchange.send(302, {Location: '/images', Vary: 'Accept'}, '');
};

export const catalogueStyle: Endpoint = (exchange) => {
  const facts = {'Content-Type': 'text/css; charset=utf-8', 'Cache-Control': 'max-age=3600'};
  exchange.send(200, {...facts, 'X-Content-Type-Options': 'nosniff'}, stylesheet);
};

/** What the query asks for; the filters of ListImages hold here, too. */
function viewOf(exchange: Exchange, context: ServerContext): CatalogueView {
  const {query} = exchange;
  const search = query.get('q') ?? '';
  const filters = [listFilter(exchange, context), searchFilter(search)];
  const found = [...context.store.all()].filter((image) => filters.every((filter) => filter(image)));
  found.sort(newestFirst);
  const pages = Math.max(1, Math.ceil(found.length / pageSize));
  const page = Math.min(pages, Math.max(1, Number.parseInt(query.get('page') ?? '1', 10) || 1));
  const first = (page - 1) * pageSize;
  const channel = channelOf(exchange, context, 'read');
  return {
    search,
    query,
    page,
    pages,
    first,
    total: found.length,
    images: found.slice(first, first + pageSize).map((image) => ({
      image,
      manifest: exchange.shownManifest(image, context),
    })),
    channels: context.channels?.map(({name}) => name) ?? [],
    channel: context.channels === undefined || channel === everyChannel ? undefined : channel,
    address: addressOf(exchange),
  };
}

/** Every word must be in one of the columns, whatever its case. */
function searchFilter(search: string): (image: StoredImage) => boolean {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return ({uuid, name, version, os, type}) => {
    const text = [uuid, name, version, os, type].join('\n').toLowerCase();
    return words.every((word) => text.includes(word));
  };
}

function newestFirst(a: StoredImage, b: StoredImage): number {
  return (b.publishedAtMs ?? 0) - (a.publishedAtMs ?? 0) || (a.uuid < b.uuid ? -1 : 1);
}

/** Under which address the browser knows this server; undefined for one that is no use in a command. */
function addressOf(exchange: Exchange): string | undefined {
  const {host = ''} = exchange.request.headers;
  return /^[\w.-]+(:\d+)?$|^\[[0-9a-fA-F:]+\](:\d+)?$/.test(host) ? `http://${host}` : undefined;
}
