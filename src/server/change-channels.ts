import {channelsOf} from './channels.ts';
import type {Endpoint} from './exchange.ts';
import {readJsonBody} from './json-body.ts';
import {refusals} from './refusals.ts';
import {ownImage} from './visible-image.ts';

/** ListChannels (spec/imgapi.md §5): as configured. */
export const listChannels: Endpoint = (exchange, {channels}) => {
  if (channels === undefined) throw refusals.noSuchPath(exchange.path);
  exchange.sendJson(200, channels);
};

/** ChannelAddImage: the query says where the image is found, the body where else it shall be. */
export const addToChannel: Endpoint = async (exchange, context) => {
  const {channels} = context;
  if (channels === undefined) {
    throw refusals.invalidParameter('action', '"channel-add" is not a valid action');
  }
  const image = ownImage(exchange, context);
  exchange.checkPreconditions(image, context);
  const {channel} = Object(await readJsonBody(exchange)) as {channel?: unknown};
  const found = channels.find(({name}) => name === channel);
  if (found === undefined) throw refusals.unknownChannel(String(channel));
  const changed = await context.store.update(image.uuid, (current) => ({
    ...current.readManifest(),
    channels: [...new Set([...channelsOf(current, context), found.name])],
  }));
  exchange.sendImage(changed, context);
};
