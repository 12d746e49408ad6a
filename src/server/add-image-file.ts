import {rm} from 'node:fs/promises';
import type {ManifestFile} from '../manifest/manifest.ts';
import type {Endpoint, Exchange} from './exchange.ts';
import {readJsonBody} from './json-body.ts';
import {announcedSize, receiveUpload, type Upload} from './receive-upload.ts';
import {refusals} from './refusals.ts';
import type {ServerContext} from './server-context.ts';
import {checkStorage} from './storage-parameter.ts';
import type {StoredFile} from './stored-image.ts';
import {ownImage} from './visible-image.ts';

const compressions = ['gzip', 'bzip2', 'xz', 'none'];

/** AddImageFile (spec/imgapi.md §3.6). The checks and their order are the reference's; an upload cut short leaves nothing. */
export const addImageFile: Endpoint = async (exchange, context) => {
  const {uuid} = ownImage(exchange, context);
  checkNotActivated(context, uuid);
  const compression = compressionOf(exchange);
  checkStorage(exchange);
  const limit = {subject: 'image file size', maxBytes: context.maxFileBytes};
  const announcedBytes = announcedSize(exchange, limit);
  const temporary = context.store.temporaryPath();
  try {
    const received = await receiveUpload(exchange, temporary, limit);
    checkReceived(exchange, received, announcedBytes);
    const guid = exchange.query.get('dataset_guid');
    const file: StoredFile = {
      sha1: received.sha1,
      size: received.sizeBytes,
      compression,
      ...(guid !== null && {dataset_guid: guid}),
      contentMD5: received.contentMD5,
    };
    const image = await context.store.attach(uuid, {kind: 'file', temporary}, (current) => {
      checkNotActivated(context, uuid);
      return {...current.readManifest(), files: [file]};
    });
    exchange.sendImage(image, context);
  } finally {
    await rm(temporary, {force: true});
  }
};

/** AddImageFileFromUrl: everything is checked, and nothing is fetched: writers would choose whom this server asks. */
export const addImageFileFromUrl: Endpoint = async (exchange, context) => {
  const {uuid} = ownImage(exchange, context);
  checkNotActivated(context, uuid);
  compressionOf(exchange);
  const {file_url: fileUrl} = Object(await readJsonBody(exchange)) as {file_url?: unknown};
  if (typeof fileUrl !== 'string' || fileUrl === '') {
    throw refusals.invalidParameter('file_url', 'missing "file_url" field from request body', 'Missing');
  }
  if (!fileUrl.startsWith('https:')) {
    throw refusals.invalidParameter('file_url', 'Only URLs using the https: scheme are supported');
  }
  throw refusals.notAvailable('upload from a URL is not available');
};

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

function checkReceived(
  exchange: Exchange,
  {sizeBytes, sha1}: Upload,
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
