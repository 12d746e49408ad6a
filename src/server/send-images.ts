/**
 * Sends the manifests of many images as one JSON array without ever holding it: a first pass only counts, because
 * the answer states its exact length, the second makes each manifest when the client is ready to take it.
 */
import {Readable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import {setImmediate as nextTurn} from 'node:timers/promises';
import type {Exchange} from './exchange.ts';
import type {ServerContext} from './server-context.ts';
import type {StoredImage} from './stored-image.ts';

/** After so many manifests other requests get their turn. */
const batchSize = 500;

/** Lengths in bytes of manifests as they are sent, by the form they are sent in. */
const knownLengths = new Map<string, WeakMap<StoredImage, number>>();

export async function sendImages(
  exchange: Exchange,
  context: ServerContext,
  {images, headers}: {images: readonly StoredImage[]; headers: Record<string, string>},
): Promise<void> {
  const shape = exchange.jsonType === 'text/plain' || images.length === 0 ? compactShape : indentedShape;
  const show = (image: StoredImage): string => shape.show(exchange.shownManifest(image, context));
  const lengths = lengthsOf(
    [context.mode, exchange.apiVersion, exchange.jsonType, exchange.withAdminFields].join(),
  );
  const frameBytes = shape.start.length + shape.end.length;
  let sizeBytes = frameBytes + Math.max(0, images.length - 1) * shape.separator.length;
  for (const [index, image] of images.entries()) {
    sizeBytes += lengths.get(image) ?? measure(image, show, lengths);
    if (index % batchSize === batchSize - 1) await nextTurn();
  }
  const {response} = exchange;
  response.writeHead(200, {...headers, 'Content-Type': exchange.jsonType, 'Content-Length': sizeBytes});
  if (exchange.method === 'HEAD') response.end();
  else await pipeline(Readable.from(parts(images, show, shape)), response);
}

interface ListShape {
  start: string;
  separator: string;
  end: string;
  show: (manifest: object) => string;
}

const compactShape: ListShape = {
  start: '[',
  separator: ',',
  end: ']',
  show: (value) => JSON.stringify(value),
};
/** What `JSON.stringify` with an indent of two makes of an array that is not empty. */
const indentedShape: ListShape = {
  start: '[\n  ',
  separator: ',\n  ',
  end: '\n]',
  show: (value) => JSON.stringify(value, null, 2).replaceAll('\n', '\n  '),
};

function lengthsOf(form: string): WeakMap<StoredImage, number> {
  const known = knownLengths.get(form);
  if (known !== undefined) return known;
  const made = new WeakMap<StoredImage, number>();
  knownLengths.set(form, made);
  return made;
}

function measure(
  image: StoredImage,
  show: (image: StoredImage) => string,
  lengths: WeakMap<StoredImage, number>,
): number {
  const sizeBytes = Buffer.byteLength(show(image));
  lengths.set(image, sizeBytes);
  return sizeBytes;
}

function* parts(
  images: readonly StoredImage[],
  show: (image: StoredImage) => string,
  {start, separator, end}: ListShape,
): Generator<Buffer> {
  let text = start;
  for (const [index, image] of images.entries()) {
    text += `${index === 0 ? '' : separator}${show(image)}`;
    if (index % 50 !== 49) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(text + end);
}
