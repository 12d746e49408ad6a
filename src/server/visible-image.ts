import {channelOf, isInChannel} from './channels.ts';
import type {Exchange} from './exchange.ts';
import {refusals} from './refusals.ts';
import type {ServerContext} from './server-context.ts';
import type {StoredImage} from './stored-image.ts';

/** The image the path names, in the request's channel, as its account may see it (spec/imgapi.md §3); throws when there is none. */
export function visibleImage(
  exchange: Exchange,
  context: ServerContext,
  scope: 'read' | 'write' = 'read',
): StoredImage {
  const {uuid, account} = exchange;
  const channel = channelOf(exchange, context, scope);
  const image = context.store.find(uuid);
  if (image === undefined) throw refusals.noSuchImage(uuid);
  if (!isInChannel(image, channel, context)) throw refusals.hiddenImage();
  if (account !== undefined && !isVisibleTo(image, account)) throw refusals.hiddenImage();
  return image;
}

/** As `visibleImage`, for a change: an account must own what it changes. */
export function ownImage(exchange: Exchange, context: ServerContext): StoredImage {
  const image = visibleImage(exchange, context, 'write');
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
