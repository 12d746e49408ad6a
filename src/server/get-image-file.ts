import {type FileHandle, open} from 'node:fs/promises';
import type {ServerResponse} from 'node:http';
import {type ByteRange, parseByteRange} from './byte-range.ts';
import {checkPreconditions, isNotModified, rangeHolds} from './conditions.ts';
import type {Endpoint, Exchange} from './exchange.ts';
import {refusals} from './refusals.ts';
import type {ServerContext} from './server-context.ts';
import type {StoredFile, StoredImage} from './stored-image.ts';
import {visibleImage} from './visible-image.ts';

const chunkBytes = 256 * 1024;

/** GetImageFile (spec/imgapi.md §3.4), in any state. `HEAD`, `Range` and `If-Range` are ours. */
export const getImageFile: Endpoint = async (exchange, context) => {
  const {image, file, handle} = await openCurrent(exchange, context);
  try {
    await sendFile(exchange, {image, file, handle});
  } finally {
    await handle.close();
  }
};

interface OpenFile {
  image: StoredImage;
  file: StoredFile;
  handle: FileHandle;
}

/** Opens the file of the image as it is now: a replacement in the meantime would send wrong bytes by right headers. */
async function openCurrent(exchange: Exchange, context: ServerContext): Promise<OpenFile> {
  for (;;) {
    const image = visibleImage(exchange, context);
    const {uuid} = image;
    const index = Number.parseInt(exchange.query.get('index') ?? '0', 10) || 0;
    if (image.file === undefined) throw refusals.noFile(uuid);
    if (index !== 0) throw refusals.noFileAt(uuid, index);
    const handle = await open(context.store.pathOf(uuid, 'file')).catch(() => undefined);
    if (context.store.find(uuid) === image) {
      if (handle === undefined) throw refusals.storageIsDown();
      return {image, file: image.file, handle};
    }
    await handle?.close();
  }
}

async function sendFile(exchange: Exchange, {image, file, handle}: OpenFile): Promise<void> {
  const {headers} = exchange.request;
  const modifiedAt = image.fileModifiedAt;
  const version = {etag: file.sha1, modifiedAt};
  const facts = {Etag: file.sha1, 'Last-Modified': modifiedAt.toUTCString()};
  checkPreconditions(headers, version);
  if (isNotModified(headers, version)) {
    exchange.send(304, facts);
    return;
  }
  const asked = exchange.method === 'GET' ? headers.range : undefined;
  const range = rangeHolds(headers, version) ? parseByteRange(asked, file.size) : 'all';
  if (range === 'none') {
    exchange.sendError(refusals.rangeNotSatisfiable(file.size), {
      ...facts,
      'Content-Range': `bytes */${file.size}`,
    });
    return;
  }
  writeHead(exchange, file, {range, facts});
  if (exchange.method === 'HEAD') exchange.response.end();
  else await sendBytes(exchange, handle, range === 'all' ? {first: 0, last: file.size - 1} : range);
}

function writeHead(
  exchange: Exchange,
  file: StoredFile,
  {range, facts}: {range: ByteRange | 'all'; facts: Record<string, string>},
): void {
  const common = {...facts, 'Accept-Ranges': 'bytes', 'Content-Type': 'application/octet-stream'};
  if (range === 'all') {
    const digest = file.contentMD5 === undefined ? {} : {'Content-MD5': file.contentMD5};
    exchange.response.writeHead(200, {...common, 'Content-Length': file.size, ...digest});
  } else {
    exchange.response.writeHead(206, {
      ...common,
      'Content-Length': range.last - range.first + 1,
      'Content-Range': `bytes ${range.first}-${range.last}/${file.size}`,
    });
  }
}

/**
 * Sends by way of one buffer, whatever the size: a stream would leave a new one for each piece to the collector.
 * Throws when the file turns out shorter than announced; then the connection is cut, which is all that is left.
 */
async function sendBytes(exchange: Exchange, handle: FileHandle, {first, last}: ByteRange): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, last - first + 1));
  for (let position = first; position <= last; ) {
    const wanted = Math.min(buffer.length, last - position + 1);
    const {bytesRead} = await handle.read(buffer, 0, wanted, position);
    if (bytesRead === 0) throw new Error('the file is shorter than its manifest says');
    await written(exchange.response, buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
  exchange.response.end();
}

/** Until the bytes are with the system and their buffer is free; rejects when the client has gone. */
function written(response: ServerResponse, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = (): void => reject(new Error('the connection was closed'));
    response.once('close', onClose);
    response.write(bytes, (error) => {
      response.off('close', onClose);
      if (error) reject(error);
      else resolve();
    });
  });
}
