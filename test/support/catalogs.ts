/** Catalogs and manifests for tests. */
import {createHash} from 'node:crypto';
import path from 'node:path';
import {type Catalog, openCatalog} from '../../src/catalog/catalog.ts';
import type {ImageRecord} from '../../src/catalog/records.ts';
import type {ImageManifest} from '../../src/manifest/manifest.ts';

export const migrationsDirectory = path.join(import.meta.dirname, '../../migrations');

export function openTestCatalog(directory: string): Promise<Catalog> {
  return openCatalog(path.join(directory, 'catalog.db'), migrationsDirectory);
}

/** The same UUID for the same text. */
export function uuidFor(text: string): string {
  const hex = createHash('md5').update(text).digest('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

export function manifestFor(name: string, more: Partial<ImageManifest> = {}): ImageManifest {
  return {
    v: 2,
    uuid: uuidFor(name),
    owner: '930896af-bf8c-48d4-885c-6573a94b1853',
    name,
    version: '1.0.0',
    state: 'active',
    disabled: false,
    public: true,
    published_at: '2026-01-01T00:00:00.000Z',
    type: 'other',
    os: 'linux',
    ...more,
  };
}

export function recordFor(name: string, more: Partial<ImageRecord> = {}): ImageRecord {
  const manifest = manifestFor(name);
  return {
    manifest,
    pool: 'machine',
    localName: manifest.uuid,
    digests: {sha1: '0'.repeat(40), sha256: '0'.repeat(64), sizeBytes: 1},
    verification: {level: 'checksum'},
    installedAt: '2026-01-01T00:00:00.000Z',
    instances: [],
    ...more,
  };
}
