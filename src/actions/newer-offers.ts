/** `update --check`: which installed images have a newer version among the offers. Asks the sources, changes no image. */

import type {ImgctlError} from '../errors.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import {compareNewest} from '../manifest/newest.ts';
import type {ActionContext} from './context.ts';
import {DamagedRecords} from './damaged-records.ts';
import {requireSources} from './find-offered.ts';
import {checkUuid, listInstalled, notInstalled} from './installed.ts';
import {asOne, gatherOffers} from './offers.ts';

export interface NewerOffer {
  /** Of the installed image. */
  uuid: string;
  name: string;
  installed: string;
  available: string;
  /** What to import. */
  availableUuid: string;
  source: string;
  /** Size of its file; absent when the manifest does not say. */
  sizeBytes?: number;
}

type Named = Pick<ImageManifest, 'name' | 'os' | 'type' | 'owner'>;

/**
 * One row for the newest installed image of each name, unless nothing newer is offered. Images are versions of one
 * another when name, os, type and owner are the same. Ignored images count when they are named only.
 */
export async function findNewerOffers(
  context: ActionContext,
  uuids: readonly string[],
): Promise<{rows: NewerOffer[]; failure: ImgctlError | undefined}> {
  requireSources(context);
  const installed = await chooseManifests(context, uuids);
  const {rows: offers, failures} = await gatherOffers(context);
  const rows = installed.flatMap((manifest): NewerOffer[] => {
    const later = offers.filter((offer) => isVersionOf(manifest, offer.manifest));
    const [newest] = later.sort((a, b) => compareNewest(a.manifest, b.manifest));
    if (!newest || compareNewest(newest.manifest, manifest) >= 0) return [];
    return [row(manifest, newest)];
  });
  return {rows, failure: asOne(failures)};
}

function row(manifest: ImageManifest, newest: {manifest: ImageManifest; source: string}): NewerOffer {
  const sizeBytes = newest.manifest.files?.[0]?.size;
  return {
    uuid: manifest.uuid,
    name: manifest.name,
    installed: manifest.version,
    available: newest.manifest.version,
    availableUuid: newest.manifest.uuid,
    source: newest.source,
    ...(sizeBytes !== undefined && {sizeBytes}),
  };
}

async function chooseManifests(context: ActionContext, uuids: readonly string[]): Promise<ImageManifest[]> {
  uuids.forEach(checkUuid);
  const installed = await listInstalled(context, new DamagedRecords(context).note);
  if (uuids.length === 0) {
    const all = installed.filter(({record}) => !record.ignored).map(({record}) => record.manifest);
    return all.filter((manifest) => !all.some((other) => isNewerThan(other, manifest)));
  }
  return uuids.map((uuid) => {
    const found = installed.find(({record}) => record.manifest.uuid === uuid);
    if (found) return found.record.manifest;
    throw notInstalled(context, uuid, undefined);
  });
}

function isNewerThan(other: ImageManifest, manifest: ImageManifest): boolean {
  return isVersionOf(manifest, other) && compareNewest(other, manifest) < 0;
}

function isVersionOf(a: Named, b: Named): boolean {
  return a.name === b.name && a.os === b.os && a.type === b.type && a.owner === b.owner;
}
