/**
 * Values for completion that only this host knows. They come from the catalog, the configuration and the directories of
 * images, never from the network; nothing is made that is not there, and whatever fails gives no values.
 */

import {existsSync} from 'node:fs';
import type {ImageTitle} from '../../catalog/images.ts';
import {isUuid} from '../../manifest/manifest.ts';
import type {CommandContext} from '../context.ts';
import {escapeControls} from '../table.ts';

export const liveKinds = [
  'installed',
  'installed-names',
  'offered',
  'offered-names',
  'sources',
  'pools',
  'instances',
  'local',
  'transfers',
] as const;

export type LiveKind = (typeof liveKinds)[number];

export interface LiveValue {
  value: string;
  /** '' when there is nothing to say. */
  description: string;
}

type Reader = (context: CommandContext) => Promise<LiveValue[]>;

const readers: Readonly<Record<LiveKind, Reader>> = {
  installed: async (context) => (await titles(context, 'images')).map(byUuid),
  'installed-names': async (context) => (await titles(context, 'images')).map(byName),
  offered: async (context) => (await titles(context, 'offers')).map(byUuid),
  'offered-names': async (context) => (await titles(context, 'offers')).map(byName),
  async sources(context) {
    const settings = await context.network.configuredSources();
    return settings.map(({url, name}) => ({value: name ?? url, description: name ? url : ''}));
  },
  async pools(context) {
    const configured = (await context.pools()).map(({name, store}) => ({
      value: name,
      description: store.directory,
    }));
    return [...configured, {value: 'zones', description: 'the default pool'}];
  },
  instances: async (context) => (await stored(context)).filter(({value}) => !isUuid(value)),
  local: stored,
  async transfers(context) {
    if (context.engineName !== 'embedded') return [];
    const transfers = await (await context.engine()).listTransfers();
    return transfers.map(({id, type, localName}) => ({
      value: String(id),
      description: `${type} ${localName}`,
    }));
  },
};

export async function liveValues(context: CommandContext, wanted: readonly LiveKind[]): Promise<LiveValue[]> {
  const values: LiveValue[] = [];
  for (const kind of wanted) {
    try {
      values.push(...(await readers[kind](context)));
    } catch {
      // Whoever presses a key in the middle of a word wants no error there.
    }
  }
  return values.map(({value, description}) => ({
    value: escapeControls(value),
    description: escapeControls(description),
  }));
}

async function titles(context: CommandContext, table: 'images' | 'offers'): Promise<ImageTitle[]> {
  if (!existsSync(context.paths.catalogFile)) return [];
  return (await context.catalog())[table].titles();
}

function byUuid({uuid, name, version}: ImageTitle): LiveValue {
  return {value: uuid, description: `${name}@${version}`};
}

function byName({uuid, name, version}: ImageTitle): LiveValue {
  return {value: `${name}@${version}`, description: uuid};
}

/** Machines and images that lie where class machine does. */
async function stored(context: CommandContext): Promise<LiveValue[]> {
  if (context.engineName !== 'embedded') return [];
  const [machines] = await context.pools();
  if (!machines || !existsSync(machines.store.directory)) return [];
  const images = await (await context.engine()).listImages(machines.store);
  return images.map(({name, path}) => ({value: name, description: path}));
}
