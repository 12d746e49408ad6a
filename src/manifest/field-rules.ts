/**
 * What each field of a manifest may hold. The compiled schema decides what it can say; here stand the texts, which
 * are the reference validator's (odd ones included), and the rules between fields.
 */
import parts from './manifest-schema.generated.js';
import {invalid, jsonExcerpt, type ManifestProblem, textExcerpt} from './problem.ts';
import {checkRequirements} from './requirement-rules.ts';

export type ManifestSet = 'minimal' | 'dc' | 'public' | 'private';

export interface RuleContext {
  manifest: Readonly<Record<string, unknown>>;
  set: ManifestSet;
  /** The server's channels; undefined when it has none. */
  channelNames: readonly string[] | undefined;
}

type Rule = (value: unknown, context: RuleContext) => Iterable<ManifestProblem>;
type Part = keyof typeof parts;

/** Every field a manifest may have, in the order in which problems are reported (spec/manifest.md §3). */
export const fieldRules: Readonly<Record<string, Rule>> = {
  v: (value) =>
    parts.v(value) && Number(value) >= 0 ? [] : [invalid('v', '"v" must be a positive integer')],
  uuid: plain('uuid'),
  urn: plain('urn'),
  owner: plain('owner'),
  name: plain('name', patternText('name', 1024, '" ", ".", "-", "_" and "/"')),
  version: plain('version', patternText('version', 512, '".", "-", "_" and "/"')),
  description: plain('description', (value) =>
    typeof value === 'string' ? 'image description is too long, max 10240 characters' : undefined,
  ),
  homepage: plain('homepage', addressText('homepage')),
  eula: plain('eula', addressText('EULA')),
  disabled: plain('disabled'),
  activated: plain('activated'),
  published_at: plain('published_at', () => 'published_at date not in "YYYY-MM-DDTHH:MM:SS(.SSS)Z" format'),
  state: plain('state'),
  public: checkPublic,
  type: oneOf('type', 'zone-dataset, zvol, lx-dataset, lxd, docker, other'),
  os: oneOf('os', 'smartos, linux, windows, bsd, illumos, other'),
  origin: plain('origin'),
  error: plain('error', (value) => `invalid image "error" (not an object): ${jsonExcerpt(value)}`),
  files: checkFiles,
  icon: plain('icon'),
  acl: checkAcl,
  requirements: checkRequirements,
  users: list('users', 'user', (entry) => (entry === null ? undefined : `entry: ${jsonExcerpt(entry)}`)),
  billing_tags: list('billing_tags', 'billingTag', (entry) => `entry : ${textExcerpt(entry)}`, textExcerpt),
  traits: checkTraits,
  tags: checkTags,
  generate_passwords: plain('generate_passwords'),
  inherited_directories: checkInheritedDirectories,
  nic_driver: driver('nic_driver', 'cannot have a value when image type is zvol'),
  disk_driver: driver('disk_driver', 'cannot have a value  when image type is zvol'),
  cpu_type: driver('cpu_type', 'cannot have a value when image type is zvol'),
  image_size: checkImageSize,
  channels: checkChannels,
};

/** The boolean a flag stands for, which may be text; anything but true and "true" is false. */
export function isSet(flag: unknown): boolean {
  return flag === true || flag === 'true';
}

/** A field about which the schema says everything. */
function plain(field: Part, message?: (value: unknown) => string | undefined): Rule {
  return (value) => (parts[field](value) ? [] : [invalid(field, message?.(value))]);
}

function patternText(
  field: string,
  maxLength: number,
  extra: string,
): (value: unknown) => string | undefined {
  const allowed = `only alpha-numeric characters and ${extra} are allowed`;
  return (value) => {
    if (value === null) return undefined;
    if (typeof value === 'string' && value.length > maxLength) {
      return `image ${field} is too long, max ${maxLength} characters`;
    }
    return `image ${field} has invalid characters (${allowed})`;
  };
}

function addressText(label: string): (value: unknown) => string | undefined {
  return (value) => {
    if (typeof value !== 'string') return undefined;
    if (parts.webAddress(value.slice(0, 1024))) return `image ${label} URL is too long (max 1024 characters)`;
    return `invalid image ${label} URL protocol`;
  };
}

function* checkPublic(value: unknown, {set}: RuleContext): Generator<ManifestProblem> {
  if (!parts.public(value)) {
    yield invalid('public', `TypeError: invalid value for "undefined": ${jsonExcerpt(value)}`);
  } else if (set === 'public' && !isSet(value)) {
    yield invalid('public', 'private images are not allowed on a public Images API');
  } else if (set === 'private' && isSet(value)) {
    yield invalid('public', 'public images are not allowed on a private Images API');
  }
}

function oneOf(field: 'type' | 'os', values: string): Rule {
  return (value, {manifest}) => {
    if (value === 'null') {
      const isPlaceholder = manifest.state === 'creating' || manifest.state === 'failed';
      return isPlaceholder ? [] : [invalid(field, `invalid image ${field}, "null"`)];
    }
    if (parts[field](value)) return [];
    return [invalid(field, `invalid image ${field}, "${textExcerpt(value)}", must be one of: ${values}`)];
  };
}

function* checkFiles(value: unknown, {manifest}: RuleContext): Generator<ManifestProblem> {
  if (!Array.isArray(value)) {
    yield invalid('files', `invalid image "files" (not an array): ${textExcerpt(value)}`);
  } else if (value.length > (manifest.type === 'lxd' ? 2 : 1)) {
    yield invalid('files', 'invalid image "files": too many files');
  } else {
    for (const file of value) yield* checkFile(file);
  }
}

function* checkFile(file: unknown): Generator<ManifestProblem> {
  if (parts.file(file)) return;
  if (file === null) {
    yield invalid('files');
    return;
  }
  const fields = typeof file === 'object' ? (file as Record<string, unknown>) : {};
  for (const key of ['sha1', 'size', 'compression']) {
    if (!Object.hasOwn(fields, key) || parts.unset(fields[key])) {
      yield invalid('files', `invalid image "files": file missing "${key}" field`);
    }
  }
  const found = fields.compression;
  if (found && !parts.compression(found)) {
    const text = `invalid compression "${textExcerpt(found)}" (must be one of gzip, bzip2, xz, none)`;
    yield invalid('files', `invalid image "files": ${text}`);
  }
}

/** An array, each entry of which must fit a part of the schema. */
function list(
  field: string,
  entryPart: Part,
  entryText: (entry: unknown) => string | undefined,
  listText: (value: unknown) => string = jsonExcerpt,
): Rule {
  return function* (value) {
    if (!Array.isArray(value)) {
      yield invalid(field, `invalid image "${field}" (not an array): ${listText(value)}`);
      return;
    }
    for (const entry of value) {
      if (parts[entryPart](entry)) continue;
      const text = entryText(entry);
      yield invalid(field, text && `invalid image "${field}" ${text}`);
    }
  };
}

function* checkAcl(value: unknown): Generator<ManifestProblem> {
  if (!Array.isArray(value)) {
    yield invalid('acl', `invalid image "acl" (not an array): ${textExcerpt(value)}`);
    return;
  }
  const index = value.findIndex((entry) => !parts.uuidText(entry));
  if (index >= 0) {
    yield invalid('acl', `invalid image "acl" (item ${index} is not a UUID): ${textExcerpt(value[index])}`);
  }
}

function* checkTraits(value: unknown): Generator<ManifestProblem> {
  if (typeof value !== 'object') {
    yield invalid('traits', `invalid image "traits" (not an object): ${jsonExcerpt(value)}`);
  } else if (value === null) {
    yield invalid('traits');
  } else {
    for (const [name, trait] of Object.entries(value)) {
      if (parts.trait(trait)) continue;
      yield invalid('traits', `invalid image "traits" entry: (${textExcerpt(name)}, ${textExcerpt(trait)})`);
    }
  }
}

const maxTagsLength = 102400;

function* checkTags(value: unknown): Generator<ManifestProblem> {
  if (value === null) {
    yield invalid('tags');
  } else if (!parts.tags(value)) {
    yield invalid('tags', `invalid image "tags" (not an object): ${jsonExcerpt(value)}`);
  } else {
    const {length} = JSON.stringify(value);
    if (length > maxTagsLength) {
      yield invalid('tags', `image "tags" object is too big: ${length} characters (max ${maxTagsLength})`);
    }
  }
}

function* checkInheritedDirectories(value: unknown, context: RuleContext): Generator<ManifestProblem> {
  const field = 'inherited_directories';
  if (context.manifest.type !== 'zone-dataset') {
    const rule = 'only valid for a type:zone-dataset image';
    yield invalid(field, `invalid image "${field}" (${rule}): ${jsonExcerpt(value)}`);
  } else {
    yield* list(field, 'text', (entry) => `entry: ${jsonExcerpt(entry)}`)(value, context);
  }
}

function driver(field: 'nic_driver' | 'disk_driver' | 'cpu_type', zvolText: string): Rule {
  return (value, {manifest}) => {
    const isElsewhere = manifest.type !== 'zvol' && value;
    if (!isElsewhere && parts[field](value)) return [];
    const reason = isElsewhere ? zvolText : 'must be a string';
    return [invalid(field, `invalid image ${field}: "${textExcerpt(value)}" (${reason})`)];
  };
}

function checkImageSize(value: unknown, {manifest}: RuleContext): ManifestProblem[] {
  const isElsewhere = manifest.type !== 'zvol' && value;
  if (!isElsewhere && parts.image_size(value) && Number.isInteger(Number(value))) return [];
  const reason = isElsewhere ? 'cannot have a value when image type is zvol' : 'must be a positive integer';
  return [invalid('image_size', `invalid image image_size: "${textExcerpt(value)}" (${reason})`)];
}

function checkChannels(value: unknown, context: RuleContext): Iterable<ManifestProblem> {
  if (context.set !== 'minimal' && context.channelNames === undefined) {
    return [invalid('channels', 'channels is invalid with an IMGAPI not configured for channels')];
  }
  return list('channels', 'text', (entry) => `entry: ${jsonExcerpt(entry)}`)(value, context);
}
