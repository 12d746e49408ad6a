/** UpdateImage (spec/imgapi.md §3.7, spec/manifest.md §6): which fields may change, and when. */
import type {ServerErrorItem} from '../errors.ts';
import type {ImageManifest, ManifestFile} from '../manifest/manifest.ts';
import {validateManifest} from '../manifest/validate.ts';
import type {Endpoint, Exchange} from './exchange.ts';
import {readJsonBody} from './json-body.ts';
import {refusals} from './refusals.ts';
import type {ServerContext} from './server-context.ts';
import type {StoredImage} from './stored-image.ts';
import {ownImage} from './visible-image.ts';

type Fields = Record<string, unknown>;

const changeable = new Set([
  ...['owner', 'name', 'version', 'description', 'homepage', 'eula', 'public', 'os', 'acl', 'requirements'],
  ...['users', 'tags', 'generate_passwords', 'inherited_directories', 'nic_driver', 'disk_driver'],
  ...['cpu_type', 'image_size', 'channels'],
]);
const forOperators = new Set(['billing_tags', 'traits', 'state', 'error']);
/** For operators, too. */
const untilActivated = new Set(['uuid', 'origin', 'files']);
const digestFields = ['digest', 'uncompressedDigest'];

export const updateImage: Endpoint = async (exchange, context) => {
  const image = ownImage(exchange, context);
  exchange.checkPreconditions(image, context);
  const update = Object(await readJsonBody(exchange)) as Fields;
  const changed = await context.store.update(image.uuid, (current) => {
    exchange.checkPreconditions(current, context);
    checkAllowed(update, current, exchange);
    return updated(current, update, context);
  });
  exchange.sendImage(changed, context);
};

function checkAllowed(update: Fields, image: StoredImage, exchange: Exchange): void {
  const names = Object.keys(update);
  if (names.length === 0) throw refusals.invalidUpdate([], 'no parameters provided');
  const isOperator = exchange.account === undefined;
  const items = names.flatMap((field): ServerErrorItem[] => {
    const message = objection(field, image, isOperator);
    return message === undefined ? [] : [{field, code: 'NotAllowed', message}];
  });
  if (items.length > 0) throw refusals.invalidUpdate(items);
  if (update.uuid !== undefined) throw refusals.notAvailable('the UUID of an image cannot be changed here');
}

function objection(field: string, image: StoredImage, isOperator: boolean): string | undefined {
  if (changeable.has(field)) return undefined;
  if (!forOperators.has(field) && !untilActivated.has(field)) return 'Parameter cannot be updated';
  if (!isOperator) return 'Can only be updated by operators';
  if (untilActivated.has(field) && image.isActivated) return 'Can only be updated on unactivated images';
  return undefined;
}

/** The manifest after the update, as it is kept; null removes a field. Throws when it is not valid any more. */
function updated(image: StoredImage, update: Fields, context: ServerContext): ImageManifest {
  const manifest = image.readManifest();
  const {files, ...fields} = update;
  const next: Fields = {...manifest, ...fields, files: mergedFiles(manifest.files ?? [], files)};
  for (const [name, value] of Object.entries(update)) if (value === null) delete next[name];
  const {icon: _, ...checked} = next;
  const channelNames = context.channels?.map(({name}) => name);
  const problems = validateManifest(checked, context.mode, channelNames === undefined ? {} : {channelNames});
  if (problems.length > 0) throw refusals.invalidImage(problems);
  const valid = next as ImageManifest;
  if (update.origin && context.store.find(String(valid.origin)) === undefined) {
    throw refusals.originDoesNotExist(String(valid.origin));
  }
  return valid;
}

/** Of files only the digests that other tools look at may be changed: size and sha1 are those of the bytes here. */
function mergedFiles(files: readonly ManifestFile[], update: unknown): readonly ManifestFile[] {
  if (update === undefined) return files;
  const entries: unknown[] = Array.isArray(update) ? update : [];
  if (entries.length !== files.length) {
    const message = `image has ${files.length} files, the update ${entries.length}`;
    throw refusals.invalidUpdate([{field: 'files', code: 'Invalid', message}]);
  }
  return files.map((file, index) => {
    const given = Object.entries(Object(entries[index])).filter(([name]) => digestFields.includes(name));
    return {...file, ...Object.fromEntries(given)};
  });
}
