import {createHash, randomUUID} from 'node:crypto';
import {isUuid} from '../manifest/manifest.ts';
import {isNotModified} from './conditions.ts';
import type {Endpoint, Exchange} from './exchange.ts';
import {listFilter} from './list-filter.ts';
import {refusals} from './refusals.ts';
import {sendImages} from './send-images.ts';
import type {ServerContext} from './server-context.ts';
import type {StoredImage} from './stored-image.ts';

/** Etags of lists hold for one run of the server: revisions are counted from 0 again after a restart. */
const runId = randomUUID();

/**
 * ListImages (spec/imgapi.md §3.2), whose answer depends on who asks. The Etag is ours, for clients that ask
 * again and again; it stands for the query and the state of the whole store.
 */
export const listImages: Endpoint = async (exchange, context) => {
  const filter = listFilter(exchange, context);
  const order = listOrder(exchange);
  const limit = listLimit(exchange);
  const etag = listTag(exchange, context);
  if (isNotModified(exchange.request.headers, {etag, modifiedAt: context.store.changedAt})) {
    exchange.send(304, {Etag: etag, Vary: 'Accept, Authorization'});
    return;
  }
  const isWithin = markerBound(exchange, context, order);
  const images = [...context.store.all()].filter((image) => filter(image) && isWithin(image));
  images.sort(order.compare);
  const page = limit === 0 ? images : images.slice(0, Math.max(0, limit));
  await sendImages(exchange, context, {images: page, headers: {Etag: etag, Vary: 'Accept, Authorization'}});
};

interface ListOrder {
  isDescending: boolean;
  compare: (a: StoredImage, b: StoredImage) => number;
}

function listOrder(exchange: Exchange): ListOrder {
  const sort = exchange.query.get('sort') ?? 'published_at';
  const [, attribute = sort, direction] = /^(.*?)(?:\.(asc|desc))?$/i.exec(sort) ?? [];
  if (attribute !== 'published_at') {
    throw refusals.invalidParameter('sort', `invalid 'sort': not a valid sorting attribute: '${attribute}'`);
  }
  const isDescending = direction?.toLowerCase() === 'desc';
  const compare = isDescending ? (a: StoredImage, b: StoredImage) => byPublication(b, a) : byPublication;
  return {isDescending, compare};
}

/** Images without a date come first, by name. */
function byPublication(a: StoredImage, b: StoredImage): number {
  const byDate = (a.publishedAtMs ?? -Infinity) - (b.publishedAtMs ?? -Infinity);
  if (byDate !== 0 && !Number.isNaN(byDate)) return byDate;
  if (a.publishedAtMs === undefined && a.name !== b.name) return a.name < b.name ? -1 : 1;
  return a.uuid < b.uuid ? -1 : 1;
}

/** 0 and absence mean everything: a standalone server has no limit of its own. */
function listLimit(exchange: Exchange): number {
  const text = exchange.query.get('limit');
  if (text === null) return 0;
  if (/^-?\d{1,15}$/.test(text)) return text.startsWith('-') ? -1 : Number(text);
  throw refusals.invalidParameter('limit', `invalid limit: "${text}"`);
}

/** Images from the marker on, itself included; a marker without a date (not yet published) bounds nothing. */
function markerBound(
  exchange: Exchange,
  context: ServerContext,
  order: ListOrder,
): (image: StoredImage) => boolean {
  const marker = exchange.query.get('marker');
  const boundMs = marker === null ? undefined : markerDate(marker, context);
  if (boundMs === undefined) return () => true;
  return ({publishedAtMs = boundMs}) =>
    order.isDescending ? publishedAtMs <= boundMs : publishedAtMs >= boundMs;
}

function markerDate(marker: string, context: ServerContext): number | undefined {
  if (isUuid(marker)) {
    const image = context.store.find(marker);
    if (image === undefined) throw refusals.noSuchImage(marker);
    return image.publishedAtMs;
  }
  const date = Date.parse(marker);
  if (Number.isNaN(date)) throw refusals.invalidParameter('marker', `invalid marker: "${marker}"`);
  return date;
}

function listTag(exchange: Exchange, context: ServerContext): string {
  const facts = [runId, context.store.revision, exchange.apiVersion, exchange.request.headers.accept ?? ''];
  if (exchange.user !== undefined) facts.push('user');
  return createHash('sha1')
    .update([...facts, exchange.query].join('\n'))
    .digest('hex');
}
