/** GetImageIcon, AddImageIcon and DeleteImageIcon (spec/imgapi.md §3.9); in any state of the image. */
import {readFile, rm} from 'node:fs/promises';
import {checkPreconditions, isNotModified} from './conditions.ts';
import type {Endpoint, Exchange} from './exchange.ts';
import {announcedSize, receiveUpload} from './receive-upload.ts';
import {refusals} from './refusals.ts';
import type {ServerContext} from './server-context.ts';
import {checkStorage} from './storage-parameter.ts';
import type {StoredIcon, StoredImage} from './stored-image.ts';
import {ownImage, visibleImage} from './visible-image.ts';

const contentTypes = ['image/jpeg', 'image/gif', 'image/png'];
const limit = {subject: 'icon size', maxBytes: 128 * 1024};

export const getIcon: Endpoint = async (exchange, context) => {
  const {image, icon, bytes} = await readCurrent(exchange, context);
  const version = {etag: icon.sha1, modifiedAt: image.iconModifiedAt};
  const facts = {Etag: icon.sha1, 'Last-Modified': image.iconModifiedAt.toUTCString()};
  checkPreconditions(exchange.request.headers, version);
  if (isNotModified(exchange.request.headers, version)) {
    exchange.send(304, facts);
    return;
  }
  const {contentType, contentMD5} = icon;
  // Whoever opens it in a browser gets a picture, whatever its bytes would like to be.
  const guard = {'X-Content-Type-Options': 'nosniff', 'Content-Security-Policy': "default-src 'none'"};
  exchange.send(200, {...facts, ...guard, 'Content-Type': contentType, 'Content-MD5': contentMD5}, bytes);
};

/** Reads the icon of the image as it is now: its bytes have to fit its headers. */
async function readCurrent(
  exchange: Exchange,
  context: ServerContext,
): Promise<{image: StoredImage; icon: StoredIcon; bytes: Buffer}> {
  for (;;) {
    const image = visibleImage(exchange, context);
    const {uuid, icon} = image;
    if (icon === undefined) throw refusals.noIcon(uuid);
    const bytes = await readFile(context.store.pathOf(uuid, 'icon')).catch(() => undefined);
    if (context.store.find(uuid) !== image) continue;
    if (bytes === undefined) throw refusals.storageIsDown();
    return {image, icon, bytes};
  }
}

export const addIcon: Endpoint = async (exchange, context) => {
  const {uuid} = ownImage(exchange, context);
  const contentType = contentTypeOf(exchange);
  checkStorage(exchange);
  announcedSize(exchange, limit);
  const temporary = context.store.temporaryPath();
  try {
    const {sizeBytes, sha1, contentMD5} = await receiveUpload(exchange, temporary, limit);
    if (sizeBytes === 0) throw refusals.upload('icon size is 0 bytes, empty files are not allowed');
    const wanted = exchange.query.get('sha1');
    if (wanted !== null && wanted !== sha1) {
      const message = `"sha1" hash, ${wanted}, does not match the uploaded icon file sha1 hash, ${sha1}`;
      throw refusals.upload(message);
    }
    const icon: StoredIcon = {contentType, size: sizeBytes, sha1, contentMD5};
    const image = await context.store.attach(uuid, {kind: 'icon', temporary}, (current) => ({
      ...current.readManifest(),
      icon,
    }));
    exchange.sendImage(image, context);
  } finally {
    await rm(temporary, {force: true});
  }
};

function contentTypeOf(exchange: Exchange): string {
  const type = exchange.request.headers['content-type'];
  const [essence = ''] = (type ?? '').split(';');
  if (contentTypes.includes(essence.trim().toLowerCase())) return essence.trim().toLowerCase();
  const allowed = contentTypes.join(', ');
  throw refusals.upload(`invalid content-type, ${type}, must be one of ${allowed}`);
}

export const deleteIcon: Endpoint = async (exchange, context) => {
  const {uuid} = ownImage(exchange, context);
  const image = await context.store.update(uuid, (current) => {
    if (current.icon === undefined) throw refusals.noIcon(uuid);
    return {...current.readManifest(), icon: undefined};
  });
  await rm(context.store.pathOf(uuid, 'icon'), {force: true});
  exchange.sendImage(image, context);
};
