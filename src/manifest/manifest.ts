/**
 * The image manifest, version 2 (spec/manifest.md): everything about an image except its bytes.
 * Wire spelling is kept; unknown keys survive.
 */

export interface ManifestFile {
  sha1: string;
  /** Size in bytes of the file as transferred (compressed). */
  size: number;
  compression: 'gzip' | 'bzip2' | 'xz' | 'none';
  dataset_guid?: string;
  [key: string]: unknown;
}

export interface ImageManifest {
  v: number | string;
  uuid: string;
  owner?: string;
  name: string;
  version: string;
  state?: string;
  disabled?: boolean | string;
  public?: boolean | string;
  published_at?: string;
  type: string;
  os: string;
  origin?: string;
  files?: ManifestFile[];
  description?: string;
  homepage?: string;
  requirements?: Record<string, unknown>;
  tags?: Record<string, unknown>;
  channels?: string[];
  [key: string]: unknown;
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Lower-case hex only, no version bits asked for (spec/manifest.md §2.1). */
export function isUuid(text: unknown): text is string {
  return typeof text === 'string' && uuidPattern.test(text);
}

/** `NAME@VERSION`, `-` standing for what the manifest lacks. */
export function imageTitle(manifest: {name?: unknown; version?: unknown}): string {
  return `${manifest.name ?? '-'}@${manifest.version ?? '-'}`;
}
