import {ImgctlError} from '../errors.ts';
import {type ImageManifest, isUuid} from './manifest.ts';

type Fields = Record<string, unknown>;

/** Fields of version 1 with no place in version 2 (spec/manifest.md §1.1). */
const droppedFields = new Set([
  ...['creator_uuid', 'vendor_uuid', 'creator_name', 'cloud_name', 'creator_admin', 'owner_uuid'],
  ...['platform_type', 'created_at', 'updated_at', 'restricted_to_uuid', '_url'],
]);

/**
 * The manifest in version 2 (spec/manifest.md §1). Version 2 and later come back as they are, the same object;
 * version 1 as a new one, the input untouched. Does not validate. Throws `InvalidManifest`.
 */
export function upgradeManifest(manifest: unknown): ImageManifest {
  if (typeof manifest !== 'object' || manifest === null || Array.isArray(manifest)) {
    throw notUpgradable('manifest is not a JSON object');
  }
  const fields = manifest as Fields;
  const version = toNumber(fields.v);
  if (Number.isNaN(version)) throw notUpgradable('manifest has a "v" field that is not a number');
  if (version >= 2) return fields as ImageManifest;
  if (version === 0 && !fields.creator_uuid) throw notUpgradable('manifest does not have a "v" field');
  return upgradeFrom1(fields);
}

function upgradeFrom1(old: Fields): ImageManifest {
  if (!isUuid(old.uuid)) throw notUpgradable(`uuid (oldManifest.uuid) is required: "${shown(old.uuid)}"`);
  if (!old.creator_uuid) throw notUpgradable('manifest does not have a "creator_uuid" field');
  if (Object.hasOwn(old, 'owner')) throw notUpgradable('manifest.owner && manifest.creator_uuid');
  if (old.restricted_to_uuid && Object.hasOwn(old, 'public')) {
    throw notUpgradable('manifest.restricted_to_uuid && manifest.public');
  }
  const kept = Object.entries(old).filter(([key]) => !droppedFields.has(key));
  const disabled = Boolean(old.disabled);
  // Object.fromEntries and spread define keys, so a foreign "__proto__" stays data.
  return {
    ...Object.fromEntries(kept.map(([key, value]) => [key, upgradeField(key, value)])),
    owner: old.creator_uuid,
    ...(old.restricted_to_uuid ? {public: false, acl: [old.restricted_to_uuid]} : {public: true}),
    disabled,
    state: disabled ? 'disabled' : 'active',
    ...publishedAt(old),
    v: 2,
  } as ImageManifest;
}

function upgradeField(key: string, value: unknown): unknown {
  if (key === 'files' && value) return upgradeFiles(value);
  if (key !== 'image_size' || !value) return value;
  const size = toNumber(value);
  return Number.isNaN(size) ? value : size;
}

function upgradeFiles(files: unknown): unknown[] {
  if (!Array.isArray(files)) throw notUpgradable('manifest.files is not an array');
  return files.map((file, index) => {
    if (typeof file !== 'object' || file === null || Array.isArray(file)) {
      throw notUpgradable(`manifest.files[${index}] is not an object`);
    }
    const {path, url, ...rest} = file as Fields;
    if (rest.compression) return rest;
    const location = path || url;
    if (typeof location !== 'string') {
      throw notUpgradable(`manifest.files[${index}] has no compression, path or url`);
    }
    return {...rest, compression: compressionOf(location)};
  });
}

/** By the extension, of which version 1 knew two; a name that is nothing but ".gz" has none. */
function compressionOf(location: string): string {
  const name = location.slice(location.lastIndexOf('/') + 1);
  const extension = name.slice(Math.max(name.lastIndexOf('.'), 1));
  return {'.gz': 'gzip', '.bz2': 'bzip2'}[extension] ?? 'none';
}

function publishedAt(old: Fields): Fields {
  const stamp = old.published_at || old.created_at;
  if (!stamp) return {};
  const lacksSeconds = typeof stamp === 'string' && /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}Z$/.test(stamp);
  return {published_at: lacksSeconds ? stamp.replace('Z', ':00Z') : stamp};
}

/** As a number; absent, empty and null count as 0, and what only turns into one by way of text does not. */
function toNumber(value: unknown): number {
  return typeof value === 'object' && value !== null ? Number.NaN : Number(value ?? 0);
}

function shown(value: unknown): string {
  return typeof value === 'object' && value !== null ? 'object' : String(value).slice(0, 100);
}

function notUpgradable(message: string): ImgctlError {
  return new ImgctlError('InvalidManifest', message);
}
