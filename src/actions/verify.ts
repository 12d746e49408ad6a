/**
 * `verify [IMAGE...]`: whether installed images still hold what was stored when they were installed. Reads every byte of
 * them and changes nothing. An image without a recorded digest cannot be compared, which is said and is no agreement.
 */

import {canDigest} from '../engine/capabilities.ts';
import type {Engine, ImageDigester} from '../engine/engine.ts';
import {ImgctlError} from '../errors.ts';
import type {ActionContext} from './context.ts';
import {findInstalled, getInstalled, type InstalledImage, listInstalled} from './installed.ts';

export interface VerifiedImage {
  uuid: string;
  name: string;
  version: string;
  /** `unknown`: there is nothing to compare with. */
  status: 'ok' | 'changed' | 'unreadable' | 'unknown';
  /** For people; what is wrong. */
  message?: string;
  /** `sha256:HEX` as recorded, and as it is. */
  recorded?: string;
  found?: string;
}

export interface VerifyResult {
  images: VerifiedImage[];
  /** Images that are changed or cannot be read. */
  problems: number;
  /** Images that could not be compared. */
  unknown: number;
}

type VerifyContext = Pick<ActionContext, 'catalog' | 'records' | 'engine' | 'pools' | 'program' | 'signal'>;

/** Of no UUIDs: all that are installed. */
export async function verifyImages(
  context: VerifyContext,
  uuids: readonly string[],
  {isFailFast = false} = {},
): Promise<VerifyResult> {
  const {engine} = context;
  if (!canDigest(engine)) {
    throw new ImgctlError('NotSupported', `the ${engine.name} engine cannot read what an image holds`, {
      hint: 'run it as a user who may read the images, with --engine embedded',
    });
  }
  const images: VerifiedImage[] = [];
  const wanted =
    uuids.length === 0
      ? await listInstalled(context, (uuid, {message}) =>
          images.push({uuid, name: '-', version: '-', status: 'unreadable', message}),
        )
      : await Promise.all(uuids.map((uuid) => getInstalled(context, uuid, undefined)));
  for (const image of wanted) {
    const verified = await verifyOne(context, engine, image);
    if (verified) images.push(verified);
    if (isFailFast && images.some(isProblem)) break;
  }
  return {
    images,
    problems: images.filter(isProblem).length,
    unknown: images.filter(({status}) => status === 'unknown').length,
  };
}

function isProblem({status}: VerifiedImage): boolean {
  return status === 'changed' || status === 'unreadable';
}

/** Undefined for an image that was deleted meanwhile. */
async function verifyOne(
  context: VerifyContext,
  engine: Engine & ImageDigester,
  {record, pool}: InstalledImage,
): Promise<VerifiedImage | undefined> {
  const {uuid, name, version} = record.manifest;
  const image = {uuid, name, version};
  const recorded = record.contentDigest;
  try {
    // What was listed may be the catalog's copy of a record that has been damaged since.
    await context.records.find(uuid);
    if (recorded === undefined)
      return {...image, status: 'unknown', message: 'no digest was recorded when it was installed'};
    const found = await engine.digestImage(pool.store, record.localName, context.signal);
    if (found === recorded) return {...image, status: 'ok', recorded, found};
    const message = 'it does not hold what was installed';
    return {...image, status: 'changed', message, recorded, found};
  } catch (error) {
    if (!(error instanceof ImgctlError) || error.code === 'Interrupted') throw error;
    if (!(await isThere(context, uuid))) return undefined;
    return {
      ...image,
      status: 'unreadable',
      message: error.message,
      ...(recorded === undefined ? {} : {recorded}),
    };
  }
}

/** Also when its record cannot be read. */
async function isThere(context: VerifyContext, uuid: string): Promise<boolean> {
  return findInstalled(context, uuid).then(
    (image) => image !== undefined,
    () => true,
  );
}
