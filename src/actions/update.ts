/**
 * `update [UUID…]` (spec/imgadm.md §8, design.md §5): records get what the sources say today, images that have data but no
 * record get one, and images that can be written are made read-only. A dry run reads and tells, and changes nothing.
 */

import type {ImageRecord} from '../catalog/records.ts';
import {canMark} from '../engine/capabilities.ts';
import {ImgctlError} from '../errors.ts';
import {changedFields} from '../manifest/changed-fields.ts';
import {type ImageManifest, isUuid} from '../manifest/manifest.ts';
import type {ActionContext, Pool} from './context.ts';
import {DamagedRecords} from './damaged-records.ts';
import {findOffered, type OfferedImage} from './find-offered.ts';
import {lockImport} from './image-locks.ts';
import {checkUuid, findInstalled, listInstalled} from './installed.ts';
import {findUses} from './uses.ts';

export interface UpdateOptions {
  /** All when there are none; ignored images only when they are named. */
  uuids: readonly string[];
  dryRun: boolean;
}

export interface UpdatedImage {
  uuid: string;
  /** The manifest is new here: there was data without a record. */
  added: boolean;
  /** Names of the manifest's fields that changed. */
  fields: string[];
  /** URL of the source that has the image. */
  source?: string;
  /** It could be written until now. */
  madeReadOnly: boolean;
}

export interface UpdateResult {
  action: 'updated';
  dryRun: boolean;
  changed: boolean;
  /** Those something is to be said of, in the order of their UUIDs. */
  images: UpdatedImage[];
  /** UUIDs of those that no source has. */
  notOffered: string[];
}

/** An image as storage has it, with its record if there is one. */
interface KnownImage {
  uuid: string;
  pool: Pool;
  localName: string;
  record: ImageRecord | undefined;
}

export async function updateImages(context: ActionContext, options: UpdateOptions): Promise<UpdateResult> {
  const chosen = await chooseImages(context, options.uuids);
  const images: UpdatedImage[] = [];
  const notOffered: string[] = [];
  for (const image of chosen) {
    const found = await findOffered(context, image.uuid, () => true);
    if (!found && image.record?.manifest.type !== 'docker') {
      notOffered.push(image.uuid);
      context.report.step(`warning: Could not find image ${image.uuid} in image sources (skipping)`);
    }
    const news = found ? await takeOver(context, image, found, options) : undefined;
    const isImage = image.record !== undefined || news !== undefined;
    const madeReadOnly = isImage && (await makeReadOnly(context, image, options));
    const {added = false, fields = [], source} = news ?? {};
    if (!added && fields.length === 0 && !madeReadOnly) continue;
    images.push({uuid: image.uuid, added, fields, ...(source !== undefined && {source}), madeReadOnly});
  }
  const changed = images.length > 0 && !options.dryRun;
  return {action: 'updated', dryRun: options.dryRun, changed, images, notOffered};
}

async function chooseImages(context: ActionContext, uuids: readonly string[]): Promise<KnownImage[]> {
  uuids.forEach(checkUuid);
  const known = await knownImages(context);
  if (uuids.length === 0) return known.filter(({record}) => !record?.ignored);
  const missing = uuids.filter((uuid) => !known.some((image) => image.uuid === uuid));
  if (missing.length === 0) return known.filter(({uuid}) => uuids.includes(uuid));
  throw new ImgctlError('Usage', `no installed image with the given UUID(s): ${missing.join(', ')}`);
}

/** What is installed, and what is stored under a UUID without a record and is no instance. */
async function knownImages(context: ActionContext): Promise<KnownImage[]> {
  const installed = await listInstalled(context, new DamagedRecords(context).note);
  const known = installed.map(({record, pool}): KnownImage => {
    return {uuid: record.manifest.uuid, pool, localName: record.localName, record};
  });
  const taken = new Set([
    ...known.map(({uuid}) => uuid),
    ...known.map(({localName}) => localName),
    ...installed.flatMap(({instances}) => instances),
  ]);
  for (const pool of context.pools.filter(({store}) => store.imageClass === 'machine')) {
    for (const {name} of await context.engine.listImages(pool.store)) {
      if (!isUuid(name) || taken.has(name)) continue;
      taken.add(name);
      known.push({uuid: name, pool, localName: name, record: undefined});
    }
  }
  return known.sort((a, b) => (a.uuid < b.uuid ? -1 : 1));
}

/** The offered manifest becomes the record's; undefined for a machine that runs and only has the name of an image. */
async function takeOver(
  context: ActionContext,
  image: KnownImage,
  offered: OfferedImage,
  {dryRun}: UpdateOptions,
): Promise<Pick<UpdatedImage, 'added' | 'fields' | 'source'> | undefined> {
  const {uuid, pool, localName} = image;
  const {url} = offered.source.settings;
  if (image.record && isOtherFile(image.record.manifest, offered.manifest)) {
    context.report.warn(
      `source "${url}" offers another file as image ${uuid} than the one that is installed; nothing of it is taken`,
    );
    return undefined;
  }
  if (!image.record) {
    const [use] = await findUses(context, {pool, record: {localName}});
    if (use !== undefined) {
      context.report.warn(`"${localName}" is not taken for image ${uuid}: it is in use: ${use}`);
      return undefined;
    }
  }
  const fields = image.record ? changedFields(image.record.manifest, offered.manifest) : [];
  const isSame = image.record?.source === url && fields.length === 0;
  if (!isSame && !dryRun) await write(context, image, offered);
  if (!image.record) {
    context.report.step(`Added manifest info for image ${uuid} from "${url}"`);
  } else if (fields.length > 0) {
    const count = `${fields.length} manifest ${fields.length === 1 ? 'field' : 'fields'}`;
    context.report.step(`Updated ${count} for image ${uuid} from "${url}": ${fields.join(', ')}`);
  }
  return {added: !image.record, fields, source: url};
}

/** A file never changes under a UUID (spec/imgapi.md): who says so is mistaken, or wants something to be taken for something. */
function isOtherFile(installed: ImageManifest, offered: ImageManifest): boolean {
  const [one, other] = [installed, offered].map(({files}) => files?.[0]?.sha1?.toLowerCase());
  return one !== undefined && other !== undefined && one !== other;
}

/** Under the image's lock, upon the record as it is then: an instance may have been made meanwhile. */
async function write(
  context: ActionContext,
  image: KnownImage,
  {manifest, source}: OfferedImage,
): Promise<void> {
  const lock = await lockImport(context, image.uuid);
  try {
    const current = await findInstalled(context, image.uuid);
    if (image.record && !current) return;
    const record: ImageRecord = {
      ...(current?.record ?? newRecord(context, image)),
      manifest,
      source: source.settings.url,
    };
    await context.catalog.images.remove(image.uuid);
    await context.records.write(record);
    await context.catalog.images.put(record);
  } finally {
    lock.release();
  }
}

/** Nothing is known of the bytes that were there before. */
function newRecord(
  context: ActionContext,
  {pool, localName}: KnownImage,
): Omit<ImageRecord, 'manifest' | 'source'> {
  return {
    pool: pool.name,
    localName,
    verification: {level: 'none'},
    installedAt: context.now().toISOString(),
    instances: [],
  };
}

/** True when the image could be written, and cannot any more. */
async function makeReadOnly(
  context: ActionContext,
  {uuid, pool, localName}: KnownImage,
  {dryRun}: UpdateOptions,
): Promise<boolean> {
  const {engine, report} = context;
  const stored = (await engine.listImages(pool.store)).find(({name}) => name === localName);
  if (!stored || stored.readOnly || !canMark(engine)) return false;
  if (!dryRun) {
    try {
      await engine.markReadOnly(pool.store, localName);
    } catch (error) {
      if (!(error instanceof ImgctlError) || !['NotSupported', 'NotAuthorized'].includes(error.code))
        throw error;
      report.warn(`image ${uuid} stays writable: ${error.message}`);
      return false;
    }
  }
  report.step(`Made image ${uuid} read-only`);
  return true;
}
