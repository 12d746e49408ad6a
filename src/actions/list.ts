/** `list` and `get`: installed images and what depends on them (spec/imgadm.md §4.1, §8). */

import type {ImageManifest} from '../manifest/manifest.ts';
import type {ActionContext} from './context.ts';
import {dependentNames, dependentsAmong} from './dependents.ts';
import {getInstalled, listInstalled} from './installed.ts';
import {poolText} from './pools.ts';

type ListContext = Pick<ActionContext, 'catalog' | 'records' | 'engine' | 'pools'>;

export interface ListedImage {
  manifest: ImageManifest;
  zpool: string;
  /** Absent when installed from a file. */
  source?: string;
  /** Storage names of dependents, and how many they are. */
  cloneNames: string[];
  clones: number;
}

export async function listImages(context: ListContext): Promise<ListedImage[]> {
  const installed = await listInstalled(context);
  return installed.map((image) => {
    const cloneNames = dependentsAmong(context, image, installed);
    return {
      manifest: image.record.manifest,
      zpool: poolText(context.pools, image.pool.name),
      ...(image.record.source !== undefined && {source: image.record.source}),
      cloneNames,
      clones: cloneNames.length,
    };
  });
}

export interface ImageDetails {
  manifest: ImageManifest;
  zpool: string;
  source?: string;
  children?: {snapshots: string[]; clones: string[]};
}

/** `ImageNotInstalled` when it is not there. Nothing here has snapshots; the key is part of the shape. */
export async function getImage(
  context: ListContext,
  options: {uuid: string; poolName?: string | undefined; withChildren: boolean},
): Promise<ImageDetails> {
  const image = await getInstalled(context, options.uuid, options.poolName);
  return {
    manifest: image.record.manifest,
    zpool: poolText(context.pools, image.pool.name),
    ...(image.record.source !== undefined && {source: image.record.source}),
    ...(options.withChildren && {children: {snapshots: [], clones: await dependentNames(context, image)}}),
  };
}
