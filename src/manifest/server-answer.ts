import type {ImageManifest} from './manifest.ts';

export interface WireOptions {
  mode: 'dc' | 'public' | 'private';
  /** Major version of the protocol that the client asked for. */
  apiVersion: number;
  /** With fields for operators (`inclAdminFields`): where a file is stored. */
  withAdminFields?: boolean;
}

/** There whenever they are known, empty or not. */
const firstFields = ['v', 'uuid', 'owner', 'name', 'version', 'state', 'disabled', 'public', 'published_at'];
const optionalFields = [
  ...['acl', 'description', 'homepage', 'eula', 'icon', 'urn', 'requirements', 'users', 'generate_passwords'],
  ...['inherited_directories', 'origin', 'nic_driver', 'disk_driver', 'cpu_type', 'image_size', 'tags'],
];
const fileFields = ['sha1', 'size', 'compression', 'dataset_guid', 'digest', 'uncompressedDigest'];

/**
 * The manifest as a server answers with it (spec/manifest.md §5): known fields only, in fixed order, empty ones left
 * out. Takes a valid manifest.
 */
export function orderForWire(manifest: ImageManifest, options: WireOptions): ImageManifest {
  const {mode, apiVersion, withAdminFields = false} = options;
  const hidden = mode === 'public' ? [] : ['billing_tags', 'traits'];
  const optional = [
    ...[...optionalFields, ...hidden].filter((key) => !isEmpty(manifest[key])),
    ...(manifest.state === 'failed' ? ['error'] : []),
    ...(apiVersion >= 2 && !isEmpty(manifest.channels) ? ['channels'] : []),
  ];
  const keptOfFile = withAdminFields ? [...fileFields, 'stor'] : fileFields;
  const known = ['type', 'os'].filter((key) => manifest[key] !== 'null');
  return {
    ...pick(manifest, [...firstFields, ...known]),
    files: (manifest.files ?? []).map((file) => pick(file, keptOfFile)),
    ...pick(manifest, optional),
  } as ImageManifest;
}

function pick(fields: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
  const found = keys.map((key) => [key, fields[key]] as const);
  return Object.fromEntries(found.filter(([, value]) => value !== undefined && value !== null));
}

/** False is empty too: a recorded server never answers with `icon` or `generate_passwords` of false. */
function isEmpty(value: unknown): boolean {
  return !value || (typeof value === 'object' && Object.keys(value).length === 0);
}
