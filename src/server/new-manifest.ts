import {randomUUID} from 'node:crypto';
import type {ImageManifest} from '../manifest/manifest.ts';
import {validateManifest} from '../manifest/validate.ts';
import {channelOf, newChannels} from './channels.ts';
import type {Exchange} from './exchange.ts';
import {refusals} from './refusals.ts';
import type {ServerContext} from './server-context.ts';

type Fields = Record<string, unknown>;

/** Owner of the images that belong to nobody in particular. */
export const unsetOwner = '00000000-0000-0000-0000-000000000000';

const settableFields = new Set([
  ...[
    'v',
    'owner',
    'name',
    'version',
    'description',
    'homepage',
    'eula',
    'icon',
    'disabled',
    'state',
    'public',
  ],
  ...['type', 'os', 'origin', 'files', 'acl', 'requirements', 'users', 'billing_tags', 'traits', 'tags'],
  ...['generate_passwords', 'inherited_directories', 'channels'],
]);
const diskFields = new Set(['nic_driver', 'disk_driver', 'cpu_type', 'image_size']);
const importedFields = new Set(['uuid', 'published_at', 'urn', 'activated']);

/** The fields of a body that is to become an image; throws when it is no object. */
export function fieldsOf(body: unknown): Fields {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Fields;
  throw refusals.invalidParameter('body', 'invalid image data: not an object');
}

/** Refuses fields that a client may not set on a new image; an imported one has some more (spec/imgapi.md §3.6). */
export function checkSettable(fields: Fields, kind: 'create' | 'import'): void {
  const extra = Object.keys(fields).filter((key) => {
    if (settableFields.has(key)) return false;
    return diskFields.has(key) ? fields.type !== 'zvol' : !(kind === 'import' && importedFields.has(key));
  });
  if (extra.length > 0) throw refusals.extraParameters(extra);
}

/**
 * The manifest of a new image as it is kept: unactivated, without files, in the request's channel,
 * defaults filled in. Throws when it is not
 * valid in the server's mode or its origin is not here.
 */
export function newManifest(fields: Fields, exchange: Exchange, context: ServerContext): ImageManifest {
  const inChannels = newChannels(channelOf(exchange, context, 'write'));
  if (fields.icon !== undefined) throw iconInManifest();
  const {files, channels, state, ...kept} = fields;
  const manifest = {
    ...kept,
    v: fields.v === undefined ? undefined : Number(fields.v),
    uuid: fields.uuid ?? randomUUID(),
    disabled: fields.disabled ?? false,
    activated: false,
    public: fields.public ?? false,
    state: 'unactivated',
    files: [],
    ...(inChannels && {channels: inChannels}),
    ...(fields.type === 'zvol' && {image_size: numberOrItsName(fields.image_size)}),
  };
  const channelNames = context.channels?.map(({name}) => name);
  const problems = validateManifest(manifest, context.mode, channelNames === undefined ? {} : {channelNames});
  if (problems.length > 0) throw refusals.invalidImage(problems);
  const valid = manifest as unknown as ImageManifest;
  if (valid.origin !== undefined && context.store.find(valid.origin) === undefined) {
    throw refusals.originDoesNotExist(valid.origin);
  }
  return valid;
}

/** A size that is none stays visible in the validator's message. */
function numberOrItsName(value: unknown): number | string {
  const size = Number(value);
  return Number.isNaN(size) ? 'NaN' : size;
}

/** An icon comes by its own endpoint, with a file behind it. */
function iconInManifest(): Error {
  const message = 'invalid image "icon": icon missing "contentMD5" field';
  return refusals.invalidImage([{field: 'icon', code: 'Invalid', message}]);
}
