/**
 * `publish -m MANIFEST -f FILE URL` (spec/imgadm.md §9.4): import the manifest, add the file, activate. A step that fails
 * for a passing reason is tried again; when it fails for good the image is deleted on the server, unless it is to be kept.
 * A half of the same image that an earlier publish left there is gone on with.
 */

import {createReadStream} from 'node:fs';
import {pipeline, type Readable, Transform} from 'node:stream';
import {ImgctlError} from '../errors.ts';
import type {ImgapiClient} from '../imgapi/imgapi-client.ts';
import {type ImageManifest, imageTitle, isUuid} from '../manifest/manifest.ts';
import {checkManifest, parseManifest} from '../manifest/parse.ts';
import {formatSize} from '../manifest/size-text.ts';
import type {ActionContext} from './context.ts';
import {isRefusal, takeOverHalf, withdrawHalf} from './half-published.ts';
import {requireFile, verifyLocalFile} from './install.ts';
import {isUncertain, runStep} from './publish-step.ts';
import {readManifestFile} from './read-manifest-file.ts';

export interface PublishOptions {
  manifestPath: string;
  filePath: string;
  /** As typed, for the last message. */
  url: string;
  client: ImgapiClient;
  /** Leave a half-published image on the server. */
  keep: boolean;
  /** Compares and asks, and sends nothing. */
  isDryRun?: boolean;
  /** How often a step that failed for a passing reason is tried again; default 4 times. */
  retries?: number;
  /** Before the first retry; doubles each time. */
  retryDelayMs?: number;
}

export interface PublishResult {
  action: 'published';
  uuid: string;
  changed: boolean;
  url: string;
  dryRun?: true;
}

type PublishContext = Pick<ActionContext, 'report' | 'signal' | 'program'>;

export async function publishImage(context: PublishContext, options: PublishOptions): Promise<PublishResult> {
  const manifest = await readPublishable(options);
  const {uuid} = manifest;
  await requireFile(options.filePath);
  const digests = await verifyLocalFile(context, manifest, options.filePath);
  if (options.isDryRun) return planPublish(context, options, manifest);
  const {created, isOurs} = await importManifest(context, options, manifest);
  context.report.step(`Imported image ${uuid} (${created.name}, ${created.version}, state=${created.state})`);
  try {
    await addFile(context, options, manifest, digests.sizeBytes);
    const active = await activate(context, options, uuid);
    context.report.step(`Activated image ${active.uuid}`);
  } catch (error) {
    if (!options.keep) await withdrawHalf(context, options, {uuid, isOurs});
    throw error;
  }
  context.report.step(`Successfully published image ${uuid} to ${options.url}`);
  return {action: 'published', uuid, changed: true, url: options.url};
}

/** The server is asked whether it has the image already. */
async function planPublish(
  {report, signal}: PublishContext,
  {client, url}: PublishOptions,
  manifest: ImageManifest,
): Promise<PublishResult> {
  const {uuid, files} = manifest;
  const found = (await client.findImage(uuid, {signal})) as ImageManifest | undefined;
  if (found !== undefined && found.state !== 'unactivated')
    throw new ImgctlError('ImageAlreadyExists', `image "${uuid}" is on server "${url}" already`);
  report.step(`[dry-run] Published image ${uuid} (${imageTitle(manifest)}) to ${url}`);
  report.notice(`${formatSize(files?.[0]?.size ?? 0)} to upload`);
  return {action: 'published', uuid, changed: false, url, dryRun: true};
}

interface Created {
  created: ImageManifest;
  /** False for the half of an earlier publish. */
  isOurs: boolean;
}

async function importManifest(
  context: PublishContext,
  options: PublishOptions,
  manifest: ImageManifest,
): Promise<Created> {
  const {client} = options;
  const {uuid} = manifest;
  try {
    const created = await runStep(
      context,
      {
        title: 'Importing the manifest',
        run: () => client.importImage(manifest, {signal: context.signal}),
        recall: (refusal) => recallImage(context, options, {uuid, refusal, code: 'ImageUuidAlreadyExists'}),
      },
      options,
    );
    return {created, isOurs: true};
  } catch (error) {
    if (isUncertain(error)) {
      context.report.warn(`image ${uuid} may be left unactivated on the server: its answer was lost`);
    }
    if (!isRefusal(error, 'ImageUuidAlreadyExists')) throw error;
    return {created: await takeOverHalf(context, options, {manifest, refusal: error}), isOurs: false};
  }
}

function activate(context: PublishContext, options: PublishOptions, uuid: string): Promise<ImageManifest> {
  return runStep(
    context,
    {
      title: 'Activating the image',
      run: () => options.client.activate(uuid, {signal: context.signal}),
      recall: (refusal) => recallImage(context, options, {uuid, refusal, code: 'ImageAlreadyActivated'}),
    },
    options,
  );
}

/** The image as the server has it, when this refusal says that an earlier try had worked. */
async function recallImage(
  {signal}: PublishContext,
  {client}: PublishOptions,
  {uuid, refusal, code}: {uuid: string; refusal: ImgctlError; code: string},
): Promise<ImageManifest | undefined> {
  if (!isRefusal(refusal, code)) return undefined;
  const wanted = code === 'ImageAlreadyActivated' ? 'active' : 'unactivated';
  const found = (await client.findImage(uuid, {signal})) as ImageManifest | undefined;
  return found?.uuid === uuid && found.state === wanted ? found : undefined;
}

async function readPublishable(options: PublishOptions): Promise<ImageManifest> {
  const {manifestPath} = options;
  const text = await readManifestFile(
    manifestPath,
    'Usage',
    `manifest path does not exist: "${manifestPath}"`,
  );
  const manifest = parseManifest(text, manifestPath);
  if (!isUuid(manifest.uuid))
    throw new ImgctlError('InvalidUUID', `invalid uuid: "${String(manifest.uuid)}"`);
  checkManifest(manifest, 'minimal');
  if (!manifest.files?.[0]) {
    throw new ImgctlError(
      'InvalidManifest',
      `manifest "${manifestPath}" has no "files": size, sha1 and compression are needed`,
    );
  }
  return manifest;
}

async function addFile(
  context: PublishContext,
  options: PublishOptions,
  manifest: ImageManifest,
  sizeBytes: number,
): Promise<void> {
  const file = manifest.files?.[0];
  if (!file) return;
  const title = imageTitle(manifest);
  const {uuid} = manifest;
  const read = (): Readable => {
    let doneBytes = 0;
    const counted = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        doneBytes += chunk.length;
        context.report.progress({uuid, title, phase: 'upload', doneBytes, totalBytes: sizeBytes});
        done(null, chunk);
      },
    });
    // A failing read destroys `counted` with the error, which is where the upload sees it.
    pipeline(createReadStream(options.filePath, {highWaterMark: 1 << 20}), counted, () => undefined);
    return counted;
  };
  let isDone = false;
  try {
    const upload = {
      body: read,
      sizeBytes,
      sha1: file.sha1,
      compression: file.compression,
      ...(file.dataset_guid !== undefined && {datasetGuid: file.dataset_guid}),
      signal: context.signal,
    };
    const title = `Adding file "${options.filePath}"`;
    const run = (): Promise<ImageManifest> => options.client.addFile(uuid, upload);
    await runStep(context, {title, run, isRepeatable: true}, options);
    isDone = true;
  } finally {
    context.report.progressEnd(uuid, isDone);
  }
  context.report.step(
    `Added file "${options.filePath}" (compression "${file.compression}") to image ${manifest.uuid}`,
  );
}
