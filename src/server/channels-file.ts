/**
 * Channels (spec/imgapi.md §5): named views of one server's images, for builds on their way to a release. They are
 * configured by `channels.json` beside the images; without that file every image is in view and `channel` is ignored.
 */
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import {errnoOf, ImgctlError} from '../errors.ts';

export interface Channel {
  name: string;
  description?: string;
  /** On one of them at most. */
  default?: true;
}

/** The channels of a server's directory; undefined when it has none. Throws `ConfigError` for a file that is wrong. */
export async function readChannels(directory: string): Promise<readonly Channel[] | undefined> {
  const file = path.join(directory, 'channels.json');
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw new ImgctlError('ConfigError', `channels file "${file}" cannot be read`, {cause: error});
  }
  const problem = channelsProblem(value);
  if (problem === undefined) return value as Channel[];
  throw new ImgctlError('ConfigError', `channels file "${file}" is not valid: ${problem}`);
}

function channelsProblem(value: unknown): string | undefined {
  if (!Array.isArray(value) || value.length === 0) return 'it must be a list of channels';
  for (const entry of value) {
    const {name, description = '', default: isDefault = true} = Object(entry) as Record<string, unknown>;
    if (typeof name !== 'string' || !/^[a-z][a-z0-9_-]*$/.test(name)) {
      return `channel name ${JSON.stringify(name)} is not lower-case letters, digits, "-" and "_"`;
    }
    if (typeof description !== 'string') return `description of channel "${name}" is not text`;
    if (isDefault !== true) return `"default" of channel "${name}" can only be true`;
  }
  const channels = value as Channel[];
  if (new Set(channels.map(({name}) => name)).size < channels.length) return 'a channel is there twice';
  return channels.filter((channel) => channel.default).length > 1
    ? 'two channels are the default'
    : undefined;
}
