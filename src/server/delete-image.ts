import {channelOf, channelsOf, everyChannel, isInChannel} from './channels.ts';
import type {Endpoint, Exchange} from './exchange.ts';
import {refusals} from './refusals.ts';
import type {ServerContext} from './server-context.ts';
import type {StoredImage} from './stored-image.ts';
import {ownImage} from './visible-image.ts';

/**
 * DeleteImage (spec/imgapi.md §3.8): not while other images are increments of it. Where there are channels, the image
 * leaves the request's one, and goes when that was its last.
 */
export const deleteImage: Endpoint = async (exchange, context) => {
  const {uuid} = ownImage(exchange, context);
  await context.store.updateOrRemove(uuid, (image) => {
    const left = channelsLeft(exchange, image, context);
    checkDependents(image, left.length === 0 ? everyChannel : channelOf(exchange, context, 'write'), context);
    return left.length === 0 ? undefined : {...image.readManifest(), channels: left};
  });
  exchange.send(204);
};

function channelsLeft(exchange: Exchange, image: StoredImage, context: ServerContext): string[] {
  const isForced = exchange.booleanParameter('force_all_channels') === true;
  if (isForced || context.channels === undefined) return [];
  const channel = channelOf(exchange, context, 'write');
  return channelsOf(image, context).filter((name) => name !== channel);
}

function checkDependents({uuid}: StoredImage, channel: string, context: ServerContext): void {
  const dependents = [...context.store.all()].filter(
    (image) => image.origin === uuid && isInChannel(image, channel, context),
  );
  if (dependents.length === 0) return;
  throw refusals.hasDependents(
    uuid,
    dependents.map((image) => image.uuid),
  );
}
