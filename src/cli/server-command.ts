/** What the `server` commands share: which server, which image, which channel. */

import type {ServerImageOptions} from '../actions/server-images.ts';
import {ImgctlError} from '../errors.ts';
import {isTextField} from '../manifest/fields.ts';
import type {CommandContext} from './context.ts';
import type {FlagTable} from './flags.ts';

export const serverFlags = {
  channel: {
    kind: 'string',
    char: 'C',
    value: 'CHANNEL',
    summary: 'the channel of the server in which the image is',
  },
} as const satisfies FlagTable;

export const serverArguments = [
  {name: 'SERVER', summary: 'URL of the server, or the name of a source'},
  {name: 'UUID', summary: 'the image'},
] as const;

export async function openServer(
  context: CommandContext,
  [server = '', uuid = '']: readonly string[],
  {channel}: {channel: string | undefined},
): Promise<ServerImageOptions> {
  return {client: await context.network.imgapi(server, channel), uuid};
}

/** `FIELD=VALUE`: text for fields that are text, JSON for others where it is JSON. */
export function parseAssignments(texts: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    texts.map((text) => {
      const [, field, value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
      if (field === undefined) {
        throw new ImgctlError('Usage', `invalid field: "${text}" (must be of the form "field=value")`);
      }
      return [field, isTextField(field) ? value : jsonOrText(value)];
    }),
  );
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
