/** What a pool of type zfs holds, from `zfs list -H -p`: a line each, in columns, sizes in bytes, times in seconds. */
import path from 'node:path';
import type {ImageClass} from '../../import1/image-class.ts';
import type {StoredImage} from '../engine.ts';
import {finalSnapshot, isTemporary} from './dataset-names.ts';
import {columnsOf, runZfs} from './run-zfs.ts';

const imageColumns = 'name,type,mountpoint,readonly,creation,used,volsize';
const snapshotColumns = 'name,clones';

/** Arguments of zfs: the datasets right below one. */
export function listImagesArguments(dataset: string): string[] {
  return ['list', '-H', '-p', '-r', '-d', '1', '-t', 'filesystem,volume', '-o', imageColumns, dataset];
}

/** The snapshots of those. */
export function listSnapshotsArguments(dataset: string): string[] {
  return ['list', '-H', '-p', '-r', '-d', '2', '-t', 'snapshot', '-o', snapshotColumns, dataset];
}

export async function readDatasets(store: {imageClass: ImageClass; dataset: string}): Promise<StoredImage[]> {
  const attempted = `Listing the datasets in "${store.dataset}"`;
  const [images, snapshots] = await Promise.all([
    runZfs(listImagesArguments(store.dataset), attempted),
    runZfs(listSnapshotsArguments(store.dataset), attempted),
  ]);
  return parseDatasets(store, images, snapshots);
}

/** What the quota and the pool leave. */
export async function readFreeBytes(dataset: string): Promise<number> {
  const list = ['get', '-H', '-p', '-o', 'value', 'available', dataset];
  return Number(await runZfs(list, `Asking what is free in "${dataset}"`));
}

/** Without the dataset itself and without what is temporary, by name. */
export function parseDatasets(
  {imageClass, dataset: parent}: {imageClass: ImageClass; dataset: string},
  images: string,
  snapshots: string,
): StoredImage[] {
  const bySource = groupSnapshots(snapshots);
  return columnsOf(images)
    .filter(([dataset = '']) => isImage(dataset, parent))
    .map((columns) => {
      const [dataset = '', type, mountpoint = '', readonly, creation, used, size] = columns;
      const isVolume = type === 'volume';
      const own = bySource.get(dataset) ?? {names: [], clones: [], hasFinal: false};
      return {
        imageClass,
        name: dataset.slice(parent.length + 1),
        type: isVolume ? ('block' as const) : ('directory' as const),
        path: isVolume ? path.join('/dev/zvol', dataset) : mountpoint.startsWith('/') ? mountpoint : dataset,
        readOnly: readonly === 'on' && own.hasFinal,
        createdUs: Number(creation) * 1e6,
        modifiedUs: 0,
        usageBytes: Number(used),
        limitBytes: isVolume ? Number(size) : undefined,
        zfs: {dataset, snapshots: own.names, clones: own.clones},
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function isImage(dataset: string, parent: string): boolean {
  if (!dataset.startsWith(`${parent}/`)) return false;
  const name = dataset.slice(parent.length + 1);
  return !name.includes('/') && !isTemporary(name);
}

interface OwnSnapshots {
  names: string[];
  clones: string[];
  hasFinal: boolean;
}

function groupSnapshots(text: string): Map<string, OwnSnapshots> {
  const groups = new Map<string, OwnSnapshots>();
  for (const [full = '', clones = ''] of columnsOf(text)) {
    const [dataset = '', name = ''] = full.split('@');
    const group = groups.get(dataset) ?? {names: [], clones: [], hasFinal: false};
    groups.set(dataset, group);
    if (name === finalSnapshot) group.hasFinal = true;
    else if (!isTemporary(name)) group.names.push(full);
    // A dash or nothing where there are none.
    const cloned = clones.split(',').filter((clone) => clone.includes('/'));
    group.clones.push(...cloned.filter((clone) => !isTemporary(path.basename(clone))));
  }
  return groups;
}
