/** `ancestry`: an installed image and the images it is made upon, base last (spec/imgadm.md §8). */

import {ImgctlError} from '../errors.ts';
import type {ImageManifest} from '../manifest/manifest.ts';
import type {ActionContext} from './context.ts';
import {getInstalled} from './installed.ts';
import {poolText} from './pools.ts';

export interface AncestryRow {
  manifest: ImageManifest;
  zpool: string;
  /** Absent when installed from a file. */
  source?: string;
}

type AncestryContext = Pick<ActionContext, 'catalog' | 'records' | 'engine' | 'pools' | 'program'>;

/** `ImageNotInstalled` names the first image of the chain that is not there; the pool is that of the image asked for. */
export async function listAncestry(
  context: AncestryContext,
  options: {uuid: string; poolName?: string | undefined},
): Promise<AncestryRow[]> {
  const rows: AncestryRow[] = [];
  const seen = new Set<string>();
  let next: string | undefined = options.uuid;
  while (next !== undefined) {
    if (seen.has(next)) {
      const chain = [...seen, next].join(' -> ');
      throw new ImgctlError(
        'InvalidManifest',
        `the origins of image "${options.uuid}" form a circle: ${chain}`,
      );
    }
    seen.add(next);
    const {record, pool} = await getInstalled(
      context,
      next,
      rows.length === 0 ? options.poolName : undefined,
    );
    rows.push({
      manifest: record.manifest,
      zpool: poolText(context.pools, pool.name),
      ...(record.source !== undefined && {source: record.source}),
    });
    next = record.manifest.origin;
  }
  return rows;
}
