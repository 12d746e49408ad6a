/**
 * The fields of an image that can be shown, sorted by and filtered on: those of the manifest (the schema's, in its
 * order) and computed ones (spec/imgadm.md §4.2). A name that is not here is a usage error, not an empty column.
 */
import {ImgctlError} from '../errors.ts';
import {nearNames} from './near-names.ts';

/** An image as lists show it. Orphans have little more in their manifest than `uuid`. */
export interface ImageRow {
  manifest: Readonly<Record<string, unknown>>;
  /** URL of the source as the user typed it. */
  source?: string | undefined;
  zpool?: string | undefined;
  /** Number of dependents. */
  clones?: number | undefined;
}

/** How values are written and compared; only `json` values have parts that a dot can reach. */
export type FieldKind = 'text' | 'version' | 'date' | 'size' | 'number' | 'flag' | 'json';

export interface KnownField {
  name: string;
  kind: FieldKind;
  meaning: string;
  /** Absent for fields that are read from the manifest. */
  compute?: (row: ImageRow) => unknown;
  /** Fields of the manifest that it is computed from, when they are few. */
  from?: readonly string[];
}

export const knownFields: readonly KnownField[] = [
  {name: 'v', kind: 'number', meaning: 'Manifest format version'},
  {name: 'uuid', kind: 'text', meaning: 'Identity of the image'},
  {name: 'urn', kind: 'text', meaning: 'Legacy name, CLOUD:CREATOR:NAME:VERSION'},
  {name: 'owner', kind: 'text', meaning: 'UUID of the account that owns the image'},
  {name: 'name', kind: 'text', meaning: 'Short name'},
  {name: 'version', kind: 'version', meaning: 'Version within the name'},
  {name: 'description', kind: 'text', meaning: 'What the image is, in a sentence or two'},
  {name: 'homepage', kind: 'text', meaning: 'Page about the image'},
  {name: 'eula', kind: 'text', meaning: 'Page with the licence terms'},
  {name: 'disabled', kind: 'flag', meaning: 'Whether the image is withdrawn from use'},
  {name: 'activated', kind: 'flag', meaning: 'Whether the image was published; internal to servers'},
  {name: 'published_at', kind: 'date', meaning: 'When the image was published, UTC'},
  {
    name: 'state',
    kind: 'text',
    meaning: 'Where the image stands: active, unactivated, disabled, creating, failed',
  },
  {name: 'public', kind: 'flag', meaning: 'Whether everybody may use the image'},
  {name: 'type', kind: 'text', meaning: 'What the file holds: a tree, a whole disk, a layer'},
  {name: 'os', kind: 'text', meaning: 'Family of the operating system'},
  {name: 'origin', kind: 'text', meaning: 'UUID of the image this one is an increment of'},
  {name: 'error', kind: 'json', meaning: 'Why creation failed (code, message, stack)'},
  {name: 'files', kind: 'json', meaning: "The image's file: digest, size, compression"},
  {name: 'icon', kind: 'flag', meaning: 'Whether the server has an icon for the image'},
  {name: 'acl', kind: 'json', meaning: 'Accounts that may use a private image'},
  {name: 'requirements', kind: 'json', meaning: 'What an instance of the image needs'},
  {name: 'users', kind: 'json', meaning: 'Accounts in the image that need a password'},
  {name: 'billing_tags', kind: 'json', meaning: 'Marks for billing'},
  {name: 'traits', kind: 'json', meaning: 'Traits a host must have, by name'},
  {name: 'tags', kind: 'json', meaning: 'Free-form marks; at most 102400 characters as JSON'},
  {
    name: 'generate_passwords',
    kind: 'flag',
    meaning: 'Whether passwords are made for users; absent means true',
  },
  {
    name: 'inherited_directories',
    kind: 'json',
    meaning: 'Directories taken from the host; type zone-dataset only',
  },
  {name: 'nic_driver', kind: 'text', meaning: "Network driver of a zvol's machine"},
  {name: 'disk_driver', kind: 'text', meaning: "Disk driver of a zvol's machine"},
  {name: 'cpu_type', kind: 'text', meaning: "CPU model of a zvol's machine"},
  {name: 'image_size', kind: 'number', meaning: "Size of a zvol's disk, MiB"},
  {name: 'channels', kind: 'json', meaning: 'Release channels the image is in'},
  {
    name: 'published_date',
    kind: 'date',
    meaning: 'Day of publication',
    compute: publishedDate,
    from: ['published_at'],
  },
  {
    name: 'pub',
    kind: 'date',
    meaning: 'Short for published_date',
    compute: publishedDate,
    from: ['published_at'],
  },
  {
    name: 'published',
    kind: 'date',
    meaning: 'When the image was published, to the second',
    compute: published,
    from: ['published_at'],
  },
  {name: 'source', kind: 'text', meaning: 'URL of the source', compute: (row) => row.source, from: []},
  {
    name: 'clones',
    kind: 'number',
    meaning: 'Number of images and instances made from it',
    compute: (row) => row.clones,
    from: [],
  },
  {
    name: 'used',
    kind: 'number',
    meaning: 'How many images and instances use it: clones by another name',
    compute: (row) => row.clones,
    from: [],
  },
  {
    name: 'arch',
    kind: 'text',
    meaning: 'Processor it is for, where its tags tell (arch, architecture)',
    compute: ({manifest}) => valueAt(manifest.tags, 'arch') ?? valueAt(manifest.tags, 'architecture'),
    from: ['tags'],
  },
  {name: 'zpool', kind: 'text', meaning: 'Pool that holds the image', compute: (row) => row.zpool, from: []},
  {
    name: 'size',
    kind: 'size',
    meaning: 'Size of the file as transferred, bytes',
    compute: (row) => valueAt(row.manifest, 'files.0.size'),
  },
  {
    name: 'docker_id',
    kind: 'text',
    meaning: 'Docker image ID',
    compute: ({manifest}) => dockerTag(manifest, 'id'),
  },
  {
    name: 'docker_short_id',
    kind: 'text',
    meaning: 'First 12 characters of docker_id',
    compute: dockerShortId,
  },
  {
    name: 'docker_repo',
    kind: 'text',
    meaning: 'Docker repository',
    compute: ({manifest}) => dockerTag(manifest, 'repo'),
  },
  {name: 'docker_tags', kind: 'json', meaning: 'Docker tags', compute: dockerTags},
];

const fieldsByName = new Map(knownFields.map((field) => [field.name, field]));

/** The value a field path names, computed fields first; undefined when the row lacks it. */
export function fieldValue(row: ImageRow, path: string): unknown {
  return fieldReader(path)(row);
}

/** The same for many rows. */
export function fieldReader(path: string): (row: ImageRow) => unknown {
  const [name, rest] = splitPath(path);
  const compute = fieldsByName.get(name)?.compute;
  if (compute) return rest === undefined ? compute : (row) => valueAt(compute(row), rest);
  if (rest !== undefined) return ({manifest}) => valueAt(manifest, path);
  // A known field, so nothing that every object has.
  return ({manifest}) => manifest[name];
}

/** The fields of the manifest that a path may look at; undefined when there is no telling. */
export function manifestFieldsOf(path: string): readonly string[] | undefined {
  const [name] = splitPath(path);
  const field = fieldsByName.get(name);
  return field?.compute ? field.from : [name];
}

/** The known field a path begins with; throws `Usage` for any other, naming near ones. */
export function checkField(path: string): KnownField {
  const [name, rest] = splitPath(path);
  if (name === '' || rest === '') throw usage(`empty field name in "${path}"`);
  const field = fieldsByName.get(name);
  if (!field) {
    const near = nearNames(name, fieldsByName.keys()).map((other) => `"${other}"`);
    throw usage(`unknown field "${name}"${near.length > 0 ? `; did you mean ${near.join(' or ')}?` : ''}`);
  }
  if (rest !== undefined && field.kind !== 'json') {
    throw usage(`field "${name}" has no parts, so "${path}" names nothing`);
  }
  return field;
}

/** The paths of a comma list, as `-o` takes them; blanks around commas do not count. Throws `Usage`. */
export function parseFieldList(text: string): string[] {
  const paths = text.split(',').map((path) => path.trim());
  if (paths.includes('')) throw usage(`empty field name in "${text}"`);
  for (const path of paths) checkField(path);
  return paths;
}

/** True for manifest fields whose value is text, so that `create` keeps `version=1.10` as typed. */
export function isTextField(name: string): boolean {
  const field = fieldsByName.get(name);
  return field !== undefined && !field.compute && ['text', 'version', 'date'].includes(field.kind);
}

function usage(message: string): ImgctlError {
  return new ImgctlError('Usage', message, {hint: 'the fields there are: list -o help'});
}

function splitPath(path: string): [name: string, rest: string | undefined] {
  const dot = path.indexOf('.');
  return dot < 0 ? [path, undefined] : [path.slice(0, dot), path.slice(dot + 1)];
}

/** Follows dots; a key that holds dots itself is found when it is all that is left of the path. */
function valueAt(value: unknown, path: string): unknown {
  let current = value;
  let left: string | undefined = path;
  while (left !== undefined) {
    if (typeof current !== 'object' || current === null) return undefined;
    if (Object.hasOwn(current, left)) return (current as Record<string, unknown>)[left];
    const [key, rest]: [string, string | undefined] = splitPath(left);
    if (rest === undefined || !Object.hasOwn(current, key)) return undefined;
    current = (current as Record<string, unknown>)[key];
    left = rest;
  }
  return current;
}

function publishedDate({manifest}: ImageRow): unknown {
  const stamp = manifest.published_at;
  return typeof stamp === 'string' ? stamp.slice(0, 10) : undefined;
}

function published({manifest}: ImageRow): unknown {
  const stamp = manifest.published_at;
  return typeof stamp === 'string' ? stamp.replace(/\.\d{3}Z$/, 'Z') : stamp;
}

function dockerTag(manifest: ImageRow['manifest'], name: string): unknown {
  return manifest.type === 'docker' ? valueAt(manifest.tags, `docker:${name}`) : undefined;
}

function dockerShortId({manifest}: ImageRow): unknown {
  const id = dockerTag(manifest, 'id');
  return typeof id === 'string' ? id.replace(/^sha256:/, '').slice(0, 12) : undefined;
}

function dockerTags({manifest}: ImageRow): unknown {
  if (manifest.type !== 'docker' || typeof manifest.tags !== 'object' || manifest.tags === null)
    return undefined;
  const prefix = 'docker:tag:';
  return Object.keys(manifest.tags)
    .filter((key) => key.startsWith(prefix))
    .map((key) => key.slice(prefix.length));
}
