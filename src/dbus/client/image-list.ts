/** Images as the services list them (spec/import1-dbus.md §2), made ours. */
import path from 'node:path';
import type {ImageStore, StoredImage} from '../../engine/engine.ts';
import {unknownSize} from '../import1.ts';

const types: readonly string[] = ['directory', 'subvolume', 'raw', 'block'] satisfies StoredImage['type'][];

/** Rows of import1's ListImages: `(ssssbtttttt)`. */
export function imagesOfImport1(rows: unknown, store: ImageStore): StoredImage[] {
  return (rows as unknown[][]).flatMap((row) => {
    const [, name, type, file, readOnly, created, modified, usage, , limit] = row;
    const image = {name, type, path: file, readOnly, created, modified, usage, limit};
    return storedImage(image as ListedImage, store);
  });
}

/** Rows of machine1's ListImages: `(ssbttto)`. It does not say where an image lies. */
export function imagesOfMachine1(rows: unknown, store: ImageStore): StoredImage[] {
  return (rows as unknown[][]).flatMap((row) => {
    const [name, type, readOnly, created, modified, usage] = row;
    const file = path.join(store.directory, type === 'raw' ? `${name}.raw` : String(name));
    const image = {name, type, path: file, readOnly, created, modified, usage, limit: unknownSize};
    return storedImage(image as ListedImage, store);
  });
}

interface ListedImage {
  name: string;
  type: string;
  path: string;
  readOnly: boolean;
  created: bigint;
  modified: bigint;
  usage: bigint;
  limit: bigint;
}

/** None for what is not in the store: services also list other places. The host itself is hidden, but there. */
function storedImage(image: ListedImage, store: ImageStore): StoredImage[] {
  const isElsewhere = path.dirname(image.path) !== store.directory && image.name !== '.host';
  if (!types.includes(image.type) || isElsewhere) return [];
  return [
    {
      imageClass: store.imageClass,
      name: image.name,
      type: image.type as StoredImage['type'],
      path: image.path,
      readOnly: image.readOnly,
      createdUs: Number(image.created),
      modifiedUs: Number(image.modified),
      usageBytes: image.usage === unknownSize ? undefined : Number(image.usage),
      limitBytes: image.limit === unknownSize ? undefined : Number(image.limit),
    },
  ];
}

export function byName(images: StoredImage[]): StoredImage[] {
  return images.sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}
