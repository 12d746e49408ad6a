/** Hosts with many images, and what sources offer: made by hand and by the catalog itself, nothing of it is fetched. */
import {mkdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {openCatalog} from '../../src/catalog/catalog.ts';
import type {ImageRecord} from '../../src/catalog/records.ts';
import type {ImageManifest} from '../../src/manifest/manifest.ts';

const systems = ['linux', 'smartos', 'illumos', 'bsd', 'windows'];
/** So many images share a name. */
export const versionsPerName = 20;

/** The manifest of one of many images; the same each time. */
export function manifestNumber(index: number): ImageManifest {
  return {
    v: 2,
    uuid: `bbbbbbbb-1111-4000-8000-${index.toString(16).padStart(12, '0')}`,
    owner: '930896af-bf8c-48d4-885c-6573a94b1853',
    name: `image-${Math.floor(index / versionsPerName)}`,
    version: `1.${index % versionsPerName}.0`,
    state: 'active',
    disabled: false,
    public: true,
    published_at: new Date(1_600_000_000_000 + ((index * 7919) % 1_000_003) * 60_000).toISOString(),
    type: index % 2 === 0 ? 'other' : 'zvol',
    os: systems[index % systems.length] ?? 'other',
    files: [{sha1: index.toString(16).padStart(40, '0'), size: 1024 * (index + 1), compression: 'gzip'}],
    description: 'An image of which there are many, described in a sentence or two.',
    homepage: 'https://example.com/images',
    requirements: {min_ram: 256},
  };
}

export function writeConfiguration(root: string, configuration: unknown): void {
  mkdirSync(path.join(root, 'etc/imgctl'), {recursive: true});
  writeFileSync(path.join(root, 'etc/imgctl/config.json'), JSON.stringify(configuration));
}

/** Below `root`: so many images installed, and as many offered by a source that is known from before. */
export async function makeWorld(root: string, count: number): Promise<void> {
  const url = 'http://images.invalid';
  const state = path.join(root, 'var/lib/imgctl');
  mkdirSync(path.join(state, 'records'), {recursive: true});
  writeConfiguration(root, {sources: [{url}]});
  const manifests = Array.from({length: count}, (_, index) => manifestNumber(index));
  for (const manifest of manifests) {
    const record: ImageRecord = {
      manifest,
      pool: 'machine',
      localName: manifest.uuid,
      source: url,
      verification: {level: 'checksum'},
      installedAt: '2026-01-01T00:00:00.000Z',
      instances: [],
    };
    mkdirSync(path.join(root, 'var/lib/machines', manifest.uuid), {recursive: true});
    writeFileSync(
      path.join(state, 'records', `${manifest.uuid}.json`),
      `${JSON.stringify(record, null, 2)}\n`,
    );
  }
  const migrations = path.join(import.meta.dirname, '../../migrations');
  const catalog = await openCatalog(path.join(state, 'catalog.db'), migrations);
  await catalog.offers.replace(`imgapi ${url}`, manifests, {
    validator: '"v"',
    fetchedAt: '2026-01-01T00:00:00.000Z',
  });
  await catalog.close();
}
