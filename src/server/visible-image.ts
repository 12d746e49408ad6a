import type {Exchange} from './exchange.ts';
import {refusals} from './refusals.ts';
import type {ServerContext} from './server-context.ts';
import type {StoredImage} from './stored-image.ts';

/** The image the path names, as the request's account may see it (spec/imgapi.md §3); throws when there is none. */
export function visibleImage(exchange: Exchange, context: ServerContext): StoredImage {
  const {uuid, account} = exchange;
  const image = context.store.find(uuid);
  if (image === undefined) throw refusals.noSuchImage(uuid);
  if (account !== undefined && !isVisibleTo(image, account)) throw refusals.hiddenImage();
  return image;
}

/** As `visibleImage`, for a change: an account must own what it changes. */
export function ownImage(exchange: Exchange, context: ServerContext): StoredImage {
  const image = visibleImage(exchange, context);
  const {account} = exchange;
  if (account === undefined || image.owner === account) return image;
  throw refusals.notOwner(account, image.uuid);
}

/** Its own images, and the published ones that are public or shared with it. */
export function isVisibleTo(image: StoredImage, account: string): boolean {
  if (image.owner === account) return true;
  return image.isActivated && (image.isPublic || isShared(image, account));
}

function isShared(image: StoredImage, account: string): boolean {
  const {acl} = image.readManifest();
  return Array.isArray(acl) && acl.includes(account);
}
