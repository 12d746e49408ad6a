import {createWriteStream} from 'node:fs';
import {rm} from 'node:fs/promises';
import {pipeline} from 'node:stream/promises';
import type {ManifestFile} from '../manifest/manifest.ts';
import {DigestTap} from '../verify/digests.ts';
import type {Endpoint, Exchange} from './exchange.ts';
import {refusals} from './refusals.ts';
import type {ServerContext} from './server-context.ts';
import {SizeLimit} from './size-limit.ts';
import type {StoredFile} from './stored-image.ts';
import {ownImage} from './visible-image.ts';

const compressions = ['gzip', 'bzip2', 'xz', 'none'];
const storages = ['local', 'manta'];

/** AddImageFile (spec/imgapi.md §3.6). The checks and their order are the reference's; an upload cut short leaves nothing. */
export const addImageFile: Endpoint = async (exchange, context) => {
  const {uuid} = ownImage(exchange, context);
  checkNotActivated(context, uuid);
  const compression = compressionOf(exchange);
  checkStorage(exchange);
  const announcedBytes = announcedSize(exchange, context);
  const temporary = context.store.temporaryPath();
  try {
    const received = await receive(exchange, temporary, context.maxFileBytes);
    checkReceived(exchange, received, announcedBytes);
    const guid = exchange.query.get('dataset_guid');
    const file: StoredFile = {
      sha1: received.sha1,
      size: received.sizeBytes,
      compression,
      ...(guid !== null && {dataset_guid: guid}),
      contentMD5: received.contentMD5,
    };
    const image = await context.store.attachFile(uuid, temporary, (current) => {
      checkNotActivated(context, uuid);
      return {...current.readManifest(), files: [file]};
    });
    exchange.sendImage(image, context);
  } finally {
    await rm(temporary, {force: true});
  }
};

interface ReceivedFile {
  sizeBytes: number;
  sha1: string;
  /** Base64. */
  contentMD5: string;
}

function checkNotActivated(context: ServerContext, uuid: string): void {
  const image = context.store.find(uuid);
  if (image === undefined) throw refusals.noSuchImage(uuid);
  if (image.isActivated) throw refusals.filesImmutable(uuid);
}

function compressionOf(exchange: Exchange): ManifestFile['compression'] {
  if (exchange.query.has('source')) throw refusals.notAvailable('upload from a source is not available');
  const text = exchange.query.get('compression');
  if (text === null) throw refusals.invalidParameter('compression', 'missing "compression"', 'Missing');
  if (compressions.includes(text)) return text as ManifestFile['compression'];
  const message = `invalid compression "${text}" (must be one of ${compressions.join(', ')})`;
  throw refusals.invalidParameter('compression', message);
}

/** There is one place to keep files; the parameter is for operators of servers with several. */
function checkStorage(exchange: Exchange): void {
  const storage = exchange.query.get('storage');
  if (storage === null) return;
  if (!storages.includes(storage)) {
    const message = `invalid storage "${storage}" (must be one of ${storages.join(', ')})`;
    throw refusals.invalidParameter('storage', message);
  }
  if (exchange.account !== undefined) {
    const reason = 'Parameter cannot be specified by non-operators';
    throw refusals.notAllowed('storage', `invalid storage "${storage}"`, reason);
  }
  if (storage !== 'local') throw refusals.storageUnsupported();
}

/** `Content-Length`, refused before the first byte when it is above the limit. */
function announcedSize(exchange: Exchange, context: ServerContext): number | undefined {
  const text = exchange.request.headers['content-length'];
  if (text === undefined) return undefined;
  const sizeBytes = Number(text);
  if (sizeBytes > context.maxFileBytes) {
    throw tooBig(`image file size ${sizeBytes} (from Content-Length)`, context.maxFileBytes);
  }
  return sizeBytes;
}

async function receive(exchange: Exchange, path: string, maxBytes: number): Promise<ReceivedFile> {
  const tap = new DigestTap(['sha1', 'md5']);
  const limit = new SizeLimit(maxBytes, () => tooBig('image file size', maxBytes));
  // Not destroyed on a refusal: the answer still has to go out on the same connection.
  const body = exchange.request.iterator({destroyOnReturn: false});
  await pipeline(body, limit, tap, createWriteStream(path, {flags: 'wx', flush: true}));
  const contentMD5 = Buffer.from(tap.digest('md5'), 'hex').toString('base64');
  return {sizeBytes: tap.sizeBytes, sha1: tap.digest('sha1'), contentMD5};
}

function checkReceived(
  exchange: Exchange,
  {sizeBytes, sha1}: ReceivedFile,
  announcedBytes: number | undefined,
): void {
  if (sizeBytes === 0) {
    throw refusals.download('image file size is 0 bytes, empty files are not allowed');
  }
  if (announcedBytes !== undefined && announcedBytes !== sizeBytes) {
    throw refusals.download(
      `"Content-Length" header, ${announcedBytes}, does not match uploaded size, ${sizeBytes}`,
    );
  }
  const wanted = exchange.query.get('sha1');
  if (wanted !== null && wanted !== sha1) {
    throw refusals.download(`"sha1" hash, ${wanted}, does not match the uploaded file sha1 hash, ${sha1}`);
  }
}

function tooBig(subject: string, maxBytes: number): Error {
  const gib = maxBytes / 1024 ** 3;
  const limit = Number.isInteger(gib) ? `${gib} GiB` : `${maxBytes} bytes`;
  return refusals.upload(`${subject} exceeds the maximum allowed size, ${limit}`);
}
