/**
 * `create MACHINE` (spec/imgadm.md §9): an image file and its manifest from a stopped instance, which is only read. Both
 * files appear whole or not at all; the manifest last, because it speaks for the file.
 */

import {randomUUID} from 'node:crypto';
import {statSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import type {BaseImage} from '../engine/engine.ts';
import {ImgctlError} from '../errors.ts';
import {readOsRelease} from '../instances/os-release.ts';
import {type PrepareRequest, withPreparedCopy} from '../instances/prepare/prepare.ts';
import {type ImageManifest, imageTitle, type ManifestFile} from '../manifest/manifest.ts';
import {checkManifest} from '../manifest/parse.ts';
import {formatSize} from '../manifest/size-text.ts';
import type {ActionContext} from './context.ts';
import {diskDefaults, draftManifest, filePrefix, type GivenFields, treeDefaults} from './create-manifest.ts';
import {deltaOriginTag} from './delta.ts';
import {checkOriginDepth, type FoundInstance, findInstance, requireStopped} from './find-instance.ts';
import {lockOrigin} from './image-locks.ts';
import {allocatedBytes} from './image-size.ts';
import type {InstalledImage} from './installed.ts';
import {poolText} from './pools.ts';
import {type WriteOrder, writeImageFile} from './write-image-file.ts';

export interface CreateOptions {
  /** Name of the instance. */
  machine: string;
  given: GivenFields;
  compression: ManifestFile['compression'];
  maxOriginDepth?: number | undefined;
  /** Only what differs from the image that the instance was made from. */
  incremental?: boolean;
  /** Run a script in a copy of the instance first, and make the image of the copy. */
  prepare?: PrepareOptions | undefined;
  outputs: CreateOutputs;
  /** Reads the instance no further than for the manifest, and writes nothing. */
  isDryRun?: boolean;
  /** Where the files go, as typed: a directory, or their common beginning; undefined: a name of their own here. */
  outputTemplate?: string | undefined;
  /** Uploads the files instead of keeping them. */
  publish?: ((files: CreatedFiles) => Promise<{url: string}>) | undefined;
}

export type PrepareOptions = Pick<PrepareRequest, 'script' | 'metadata' | 'hasNetwork' | 'timeoutMs'>;

export interface CreatedFiles {
  manifestPath: string;
  filePath: string;
}

/** How files are made; given by whoever knows the file system's calls. */
export interface CreateOutputs {
  /** Calls `write` with a descriptor; the file is there when it has ended well, and not before. */
  writeFile<Result>(file: string, write: (fd: number) => Promise<Result>): Promise<Result>;
  /** A directory that is gone afterwards; what a killed process left is removed on the way. */
  withTemporary<Result>(use: (prefix: string) => Promise<Result>): Promise<Result>;
}

export interface CreateResult {
  action: 'created';
  uuid: string;
  changed: boolean;
  dryRun?: true;
  manifest: ImageManifest;
  /** Not part of manifests; of no dry run. */
  sha256?: string;
  /** Unless published. */
  manifestPath?: string;
  filePath?: string;
  url?: string;
}

const suffixes = {none: '', gzip: '.gz', bzip2: '.bz2', xz: '.xz'} as const;

export async function createImage(context: ActionContext, options: CreateOptions): Promise<CreateResult> {
  const instance = await findInstance(context, options.machine);
  const isRunning = requireStopped(instance, {forCopy: options.prepare !== undefined});
  await checkOriginDepth(context, instance.origin, options.maxOriginDepth);
  const draft = describe(context, instance, options);
  context.report.step('Manifest:');
  for (const line of JSON.stringify(draft, null, 2).split('\n')) context.report.step(`    ${line}`);
  checkManifest(draft, 'minimal');
  if (options.isDryRun) return planImage(context, {instance, isRunning, draft, options});
  if (!options.incremental || !instance.origin)
    return makeImage(context, {instance, isRunning, draft, options});
  const {record} = instance.origin;
  const lock = await lockOrigin(context, record.manifest.uuid);
  try {
    const base = await requireBase(context, instance.origin);
    return await makeImage(context, {instance, isRunning, draft, options, base});
  } finally {
    lock.release();
  }
}

/** What the image would be, and of how much it would be made; a script is not run. */
async function planImage(context: ActionContext, order: Order): Promise<CreateResult> {
  const {instance, draft, options} = order;
  const {name, pool, origin} = instance;
  const isIncremental = options.incremental === true && origin !== undefined;
  if (isIncremental) await requireBase(context, origin);
  const stored = (await context.engine.listImages(pool.store)).find((image) => image.name === name);
  const size = stored === undefined ? 'unknown size' : formatSize(await allocatedBytes(stored));
  const prefix = prefixFor(draft, options);
  const filePath = `${prefix}.${suffixOf(instance, isIncremental)}${suffixes[options.compression]}`;
  const paths = options.publish ? {} : {manifestPath: `${prefix}.imgmanifest`, filePath};
  const aim = options.publish ? 'to upload' : `to write to "${filePath}" and "${prefix}.imgmanifest"`;
  context.report.step(`[dry-run] Created image ${draft.uuid} (${imageTitle(draft)})`);
  context.report.notice(`"${instance.path}" (${size} before compression) ${aim}`);
  return {action: 'created', uuid: draft.uuid, changed: false, dryRun: true, manifest: draft, ...paths};
}

/** The origin as it was when it was installed: nobody may have been able to write to it. */
async function requireBase(context: ActionContext, {pool, record}: InstalledImage): Promise<BaseImage> {
  const {localName, manifest} = record;
  const stored = (await context.engine.listImages(pool.store)).find((image) => image.name === localName);
  if (stored?.readOnly) return {store: pool.store, localName};
  throw new ImgctlError(
    'OriginHasNoFinalSnapshot',
    `cannot create an incremental image: origin image "${manifest.uuid}" has no "@final" snapshot (sometimes this can be fixed by "${context.program} update")`,
    {hint: 'the origin is not read-only, so that it may have been changed'},
  );
}

async function makeImage(context: ActionContext, order: Order): Promise<CreateResult> {
  const {instance, isRunning, options} = order;
  const {name, isDisk, pool} = instance;
  if (!options.prepare) {
    return putOut(context, {...order, source: {store: pool.store, localName: name, isDisk}});
  }
  if (instance.dataset !== undefined) {
    throw new ImgctlError(
      'NotSupported',
      `prepare scripts are not run in pools of type zfs, where vm "${name}" is`,
    );
  }
  const request: PrepareRequest = {
    ...options.prepare,
    name,
    path: instance.path,
    isDisk,
    isRunning,
    signal: context.signal,
    onStep: (line) => context.report.step(line),
    onNotice: (text) => context.report.notice(`instance "${name}": ${text}`),
  };
  return withPreparedCopy(request, ({directory, localName}) => {
    const store = {imageClass: 'machine', directory} as const;
    return putOut(context, {...order, source: {store, localName, isDisk}});
  });
}

/** Into files that stay, or to a server. */
async function putOut(context: ActionContext, order: Omit<SaveOrder, 'prefix'>): Promise<CreateResult> {
  const {draft, options} = order;
  const {publish} = options;
  if (!publish) {
    const made = await saveImage(context, {...order, prefix: prefixFor(draft, options)});
    return resultOf(made, {manifestPath: made.manifestPath, filePath: made.filePath});
  }
  return options.outputs.withTemporary(async (prefix) => {
    const made = await saveImage(context, {...order, prefix});
    return resultOf(made, await publish(made));
  });
}

function describe(context: ActionContext, instance: FoundInstance, options: CreateOptions): ImageManifest {
  const origin = instance.origin?.record.manifest;
  if (options.incremental && !origin) {
    throw new ImgctlError(
      'VmHasNoOrigin',
      `cannot create an incremental image: vm "${options.machine}" has no origin`,
    );
  }
  if (origin) {
    context.report.step(`Inheriting from origin image ${origin.uuid} (${origin.name} ${origin.version})`);
  }
  const defaults = instance.isDisk
    ? diskDefaults(instance.sizeBytes ?? 0)
    : treeDefaults(readOsRelease(instance.path));
  const {given, incremental: isIncremental = false} = options;
  // Streams of ZFS say themselves what they hold.
  const delta = instance.dataset === undefined ? (instance.isDisk ? 'qcow2' : 'oci-layer') : undefined;
  return draftManifest({given, uuid: randomUUID(), origin, defaults, isIncremental, delta});
}

/** An existing directory takes files of the image's name; anything else is the beginning of theirs. */
function prefixFor(draft: ImageManifest, {outputTemplate}: CreateOptions): string {
  if (outputTemplate === undefined) return filePrefix(draft);
  const isDirectory = statSync(outputTemplate, {throwIfNoEntry: false})?.isDirectory() ?? false;
  return isDirectory ? path.join(outputTemplate, filePrefix(draft)) : outputTemplate;
}

interface Order {
  instance: FoundInstance;
  isRunning: boolean;
  draft: ImageManifest;
  options: CreateOptions;
  base?: BaseImage;
}

interface SaveOrder extends Order {
  /** What is read: the instance, or a copy of it. */
  source: WriteOrder['source'];
  prefix: string;
}

interface SavedImage extends CreatedFiles {
  manifest: ImageManifest;
  sha256: string;
}

async function saveImage(context: ActionContext, order: SaveOrder): Promise<SavedImage> {
  const {instance, source, draft, options, prefix, base} = order;
  const {compression, outputs} = options;
  const plainPath = `${prefix}.${suffixOf(instance, base !== undefined)}`;
  const filePath = `${plainPath}${suffixes[compression]}`;
  const storageName = `${poolText(context.pools, instance.pool.name)}/${instance.name}`;
  context.report.step(`Snapshotting to "${storageName}@final"`);
  context.report.step(`Sending image file to "${plainPath}"`);
  const written = await outputs.writeFile(filePath, (fd) =>
    writeImageFile(context, {
      source,
      manifest: draft,
      compression,
      base,
      fd,
    }),
  );
  const tagged = withOriginDigest(draft, written.baseDigest);
  const manifest = {...tagged, files: [{size: written.sizeBytes, compression, sha1: written.sha1}]};
  const manifestPath = `${prefix}.imgmanifest`;
  context.report.step(`Saving manifest to "${manifestPath}"`);
  await outputs.writeFile(manifestPath, async (fd) => writeFileSync(fd, JSON.stringify(manifest, null, 2)));
  return {manifest, manifestPath, filePath, sha256: written.sha256};
}

function suffixOf({isDisk, dataset}: FoundInstance, isIncremental: boolean): string {
  if (dataset !== undefined) return isDisk ? 'zvol' : 'zfs';
  return isDisk ? (isIncremental ? 'qcow2' : 'raw') : 'tar';
}

function withOriginDigest(draft: ImageManifest, digest: string | undefined): ImageManifest {
  return digest === undefined ? draft : {...draft, tags: {...draft.tags, [deltaOriginTag]: digest}};
}

function resultOf(
  {manifest, sha256}: SavedImage,
  place: Pick<CreateResult, 'manifestPath' | 'filePath' | 'url'>,
): CreateResult {
  return {action: 'created', uuid: manifest.uuid, changed: true, manifest, sha256, ...place};
}
