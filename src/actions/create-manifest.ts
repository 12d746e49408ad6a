/**
 * The manifest of a new image (spec/imgadm.md §9.1, §9.2): given fields win, then those of the origin, then what the
 * instance itself tells.
 */

import {ImgctlError} from '../errors.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import {type DeltaKind, deltaOriginTag, deltaTag} from './delta.ts';

export type GivenFields = Record<string, unknown>;

/** Taken from the origin where not given (spec/imgadm.md §9.2 step 4). */
const inheritedFields = [
  'type',
  'os',
  'requirements',
  'users',
  'billing_tags',
  'traits',
  'generate_passwords',
  'inherited_directories',
  'nic_driver',
  'disk_driver',
  'cpu_type',
  'image_size',
] as const;

/** Their value stays as typed where JSON would make a number of it: `version=1.10` (design.md §7). */
const textFields = new Set([
  'uuid',
  'urn',
  'owner',
  'name',
  'version',
  'description',
  'homepage',
  'eula',
  'published_at',
  'state',
  'type',
  'os',
  'origin',
  'nic_driver',
  'disk_driver',
  'cpu_type',
]);

/** `FIELD=VALUE` arguments; the last of a name wins. `Usage` for what is none. */
export function parseFields(list: readonly string[]): GivenFields {
  const fields: GivenFields = {};
  for (const text of list) {
    const at = text.indexOf('=');
    if (at <= 0) {
      throw new ImgctlError('Usage', `invalid manifest field arg "${text}": must match "<field>=<value>"`);
    }
    const name = text.slice(0, at);
    fields[name] = fieldValue(name, text.slice(at + 1));
  }
  return fields;
}

function fieldValue(name: string, text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text; // what is no JSON is text, by contract
  }
  return textFields.has(name) && typeof value !== 'string' ? text : value;
}

/** The fields of a manifest file. `subject` names it as messages do: `in "FILE"`, `on stdin`. */
export function parseGiven(text: string, subject: string): GivenFields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalidJson(subject, (cause as Error).message);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as GivenFields;
  throw invalidJson(subject, 'not a JSON object');
}

function invalidJson(subject: string, detail: string): ImgctlError {
  return new ImgctlError('Usage', `invalid manifest JSON ${subject}: ${detail}`);
}

export interface DraftInputs {
  given: GivenFields;
  uuid: string;
  origin: ImageManifest | undefined;
  /** What the instance tells of itself. */
  defaults: GivenFields;
  isIncremental: boolean;
  /** How an incremental image is marked; undefined: its bytes tell. */
  delta: DeltaKind | undefined;
}

/** Not validated. `files` and the marks of incremental images are ours to write: given ones are dropped. */
export function draftManifest(inputs: DraftInputs): ImageManifest {
  const {given, uuid, origin, defaults, isIncremental, delta} = inputs;
  const {files: _files, tags, ...fields} = given;
  const draft: GivenFields = {v: 2, uuid, ...fields};
  const ownTags = withoutMarks(tags);
  if (ownTags !== undefined) draft.tags = ownTags;
  for (const field of inheritedFields) {
    const value = origin?.[field];
    if (field in draft || value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    draft[field] = value;
  }
  for (const [field, value] of Object.entries(defaults)) draft[field] ??= value;
  if (isIncremental && origin) {
    draft.origin = origin.uuid;
    if (delta) draft.tags = {...Object(draft.tags), [deltaTag]: delta};
  }
  return draft as unknown as ImageManifest;
}

function withoutMarks(tags: unknown): unknown {
  if (typeof tags !== 'object' || tags === null || Array.isArray(tags)) return tags;
  const {[deltaTag]: _delta, [deltaOriginTag]: _origin, ...others} = tags as GivenFields;
  return others;
}

/** What os-release of a tree tells (os-release(5)). */
export function treeDefaults(release: Readonly<Record<string, string>>): GivenFields {
  const {ID, VERSION_ID, BUILD_ID, IMAGE_VERSION, PRETTY_NAME, HOME_URL} = release;
  const text = (value: string | undefined) => (value ? value : undefined);
  return withoutMissing({
    name: text(ID),
    version: text(IMAGE_VERSION) ?? text(VERSION_ID) ?? text(BUILD_ID),
    type: 'lx-dataset',
    os: 'linux',
    description: text(PRETTY_NAME),
    homepage: /^https?:\/\//.test(HOME_URL ?? '') ? HOME_URL : undefined,
  });
}

/** What every server asks of a disk; the names are of what Linux guests have (spec/manifest.md §2). */
export function diskDefaults(sizeBytes: number): GivenFields {
  return {
    type: 'zvol',
    nic_driver: 'virtio',
    disk_driver: 'virtio',
    cpu_type: 'host',
    image_size: Math.ceil(sizeBytes / 2 ** 20),
  };
}

function withoutMissing(fields: GivenFields): GivenFields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** `SLUG(name)-SLUG(version)` (spec/imgadm.md §9.1). */
export function filePrefix(manifest: ImageManifest): string {
  return `${slug(manifest.name)}-${slug(manifest.version)}`;
}

function slug(value: unknown): string {
  return String(value)
    .replace(/[^\w\s.-]/g, '')
    .trim()
    .toLowerCase()
    .replace(/[-\s]+/g, '-');
}
