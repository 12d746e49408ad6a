/** `list` and `get`: installed images and what depends on them (spec/imgadm.md §4.1, §8). */

import type {BriefRecord} from '../catalog/images.ts';
import type {ImageRecord, VerificationLevel} from '../catalog/records.ts';
import type {ImgctlError} from '../errors.ts';
import {type GuestExpectation, guestExpectation} from '../manifest/guest.ts';
import {type ImageManifest, isUuid} from '../manifest/manifest.ts';
import type {ActionContext} from './context.ts';
import {childrenByOrigin, dependentNames, dependentsAmong} from './dependents.ts';
import {
  getInstalled,
  type InstalledContext,
  type InstalledImage,
  listInstalled,
  listInstalledBriefly,
} from './installed.ts';
import {poolText} from './pools.ts';

export interface ListedImage {
  /** Of what has no record the UUID or the name alone. */
  manifest: Partial<ImageManifest>;
  zpool: string;
  /** Absent when installed from a file. */
  source?: string;
  /** Storage names of dependents, and how many they are. */
  cloneNames: string[];
  clones: number;
}

/**
 * The installed images that are not ignored. With `all` the ignored ones too, and after them what storage holds without
 * a record (imgadm's orphans), hand-made machines among it; instances are never images. `brief` leaves out of the manifests
 * what lists do not show by default, and says in which order they come: of dates or of UUIDs.
 */
export async function listImages(
  context: InstalledContext & Pick<ActionContext, 'report'>,
  options: {all: boolean; brief?: {byDate: boolean}} = {all: false},
): Promise<ListedImage[]> {
  const leftOut = (_uuid: string, error: ImgctlError): void =>
    context.report.warn(`${error.message}; the image is not listed`);
  const installed = await (options.brief
    ? listInstalledBriefly(context, leftOut, options.brief)
    : listInstalled(context, leftOut));
  const children = childrenByOrigin(installed);
  const shown = options.all ? installed : installed.filter(({record}) => !record.ignored);
  const poolNames = new Map(context.pools.map(({name}) => [name, poolText(context.pools, name)]));
  const listed = shown.map((image): ListedImage => {
    const cloneNames = dependentsAmong(context, image, children);
    // Of a brief one null says that it is missing; lists take both for the same.
    const manifest = image.record.manifest as Partial<ImageManifest>;
    const zpool = poolNames.get(image.pool.name) ?? image.pool.name;
    const {source} = image.record;
    const clones = cloneNames.length;
    // Programs may read the keys in this order; spreading takes long for ten thousand.
    return source === undefined
      ? {manifest, zpool, cloneNames, clones}
      : {manifest, zpool, source, cloneNames, clones};
  });
  return options.all ? [...listed, ...(await listOrphans(context, installed))] : listed;
}

/** Named by UUID as imgadm shows them; others have their name, since nothing tells a UUID. */
async function listOrphans(
  context: InstalledContext,
  installed: readonly InstalledImage<BriefRecord>[],
): Promise<ListedImage[]> {
  const known = new Set(installed.map(({pool, record}) => `${pool.name}/${record.localName}`));
  for (const {instances, pool} of installed) for (const name of instances) known.add(`${pool.name}/${name}`);
  const orphans: ListedImage[] = [];
  for (const pool of context.pools) {
    const names = (await context.engine.listImages(pool.store)).map(({name}) => name).sort();
    for (const name of names) {
      if (known.has(`${pool.name}/${name}`)) continue;
      const manifest = isUuid(name) ? {uuid: name} : {name};
      orphans.push({manifest, zpool: poolText(context.pools, pool.name), cloneNames: [], clones: 0});
    }
  }
  return orphans;
}

/** What `list --docker` shows: images of type docker that no image has as its origin (spec/imgadm.md §4.3). */
export function dockerImages<R extends {manifest: Partial<ImageManifest>}>(rows: readonly R[]): R[] {
  const origins = new Set(rows.map(({manifest}) => manifest.origin));
  return rows.filter(({manifest}) => manifest.type === 'docker' && !origins.has(manifest.uuid));
}

export interface InstalledVerification {
  level: VerificationLevel;
  sha256?: string;
  key?: string;
}

export interface ImageDetails {
  manifest: ImageManifest;
  zpool: string;
  source?: string;
  /** How the file was verified when it was installed; imgadm knows no such key, nor the next. */
  verification?: InstalledVerification;
  /** What it can do on this system. */
  guest?: GuestExpectation;
  children?: {snapshots: string[]; clones: string[]};
}

function verificationOf({verification, digests}: ImageRecord): InstalledVerification {
  const {level, keyId} = verification;
  return {level, ...(digests && {sha256: digests.sha256}), ...(keyId !== undefined && {key: keyId})};
}

/** `ImageNotInstalled` when it is not there. Only pools of type zfs have snapshots; the key is part of the shape. */
export async function getImage(
  context: InstalledContext & Pick<ActionContext, 'program' | 'report'>,
  options: {uuid: string; poolName?: string | undefined; withChildren: boolean; withOwn?: boolean},
): Promise<ImageDetails> {
  const image = await getInstalled(context, options.uuid, options.poolName);
  const guest = options.withOwn ? guestExpectation(image.record.manifest) : undefined;
  return {
    manifest: image.record.manifest,
    zpool: poolText(context.pools, image.pool.name),
    ...(image.record.source !== undefined && {source: image.record.source}),
    ...(options.withOwn && {verification: verificationOf(image.record)}),
    ...(guest && {guest}),
    ...(options.withChildren && {
      children: {snapshots: snapshotsOf(image), clones: await dependentNames(context, image)},
    }),
  };
}

function snapshotsOf({stored}: InstalledImage): string[] {
  return stored.zfs?.snapshots ?? [];
}
