import type {Exchange} from './exchange.ts';
import {refusals} from './refusals.ts';
import type {ServerContext} from './server-context.ts';
import type {StoredImage} from './stored-image.ts';

/** Stands for every channel, in requests that only read and on servers that have none. */
export const everyChannel = '*';

/** Which channel a request is about. */
export function channelOf(exchange: Exchange, {channels}: ServerContext, scope: 'read' | 'write'): string {
  if (channels === undefined) return everyChannel;
  const wanted = exchange.query.get('channel') || channels.find((channel) => channel.default)?.name;
  if (wanted === undefined) throw refusals.noDefaultChannel();
  if (wanted === everyChannel && scope === 'read') return everyChannel;
  if (channels.some(({name}) => name === wanted)) return wanted;
  throw refusals.unknownChannel(wanted);
}

export function isInChannel(image: StoredImage, channel: string, context: ServerContext): boolean {
  return channel === everyChannel || channelsOf(image, context).includes(channel);
}

/** An image that names none, made before there were channels, is in the default one. */
export function channelsOf(image: StoredImage, {channels = []}: ServerContext): readonly string[] {
  if (image.channels.length > 0) return image.channels;
  return channels.filter((channel) => channel.default).map(({name}) => name);
}

/** What a new image gets: the channel it was made in. */
export function newChannels(channel: string): string[] | undefined {
  return channel === everyChannel ? undefined : [channel];
}
