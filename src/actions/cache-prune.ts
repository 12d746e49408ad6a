/** `cache prune`: downloads that are kept are removed by hand (design.md §4). */

import type {DownloadCache} from '../downloads/download-cache.ts';

export interface CachePruneResult {
  action: 'pruned';
  /** False when nothing was or, with a dry run, would be removed. */
  changed: boolean;
  dryRun: boolean;
  files: {path: string; sizeBytes: number}[];
  freedBytes: number;
}

export async function pruneCache(
  downloads: DownloadCache,
  {all, dryRun}: {all: boolean; dryRun: boolean},
): Promise<CachePruneResult> {
  const files = await downloads.prune({all, dryRun});
  const freedBytes = files.reduce((sum, {sizeBytes}) => sum + sizeBytes, 0);
  return {action: 'pruned', changed: files.length > 0, dryRun, files, freedBytes};
}
