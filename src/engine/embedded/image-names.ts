/**
 * The names of the images in a class directory and nothing else of them: `image-list.ts` looks into every one, which for
 * ten thousand takes as long as ten starts of the program. Both name the same, these in no order.
 */
import {type Dirent, readdirSync, statSync} from 'node:fs';
import path from 'node:path';
import {errnoOf} from '../../errors.ts';
import {isImageName} from '../../import1/image-name.ts';
import type {otherNames} from '../../sys/missing-names.ts';
import type {ImageStore} from '../engine.ts';

const rawSuffix = '.raw';
/** Directories that choose between versions, and layered images, are no images by themselves. */
const otherSuffixes = ['.v', '.mstack'];

export function readImageNames(store: ImageStore): {name: string}[] {
  const images: {name: string}[] = [];
  for (const entry of readEntries(store.directory)) {
    const name = imageName(store.directory, entry);
    if (name !== undefined) images.push({name});
  }
  return images;
}

/** Whether the store holds images of all these names, joined by slashes; false as soon as that takes a second look. */
export function holdsImages(store: ImageStore, names: string, compare: typeof otherNames): boolean {
  const isPlain = plainNames.test(names) || names.split('/').every(isListedName);
  return (
    isPlain && compare(store.directory, names, {suffix: rawSuffix, takesDirectories: true}) !== undefined
  );
}

/** Names without a dot or blank, which are no others than images' if they are there; nearly all are UUIDs. */
const plainNames = /^[\w/-]+$/;

function isListedName(name: string): boolean {
  return isImageName(name) && !name.startsWith('.') && !otherSuffixes.some((suffix) => name.endsWith(suffix));
}

function readEntries(directory: string): Dirent[] {
  try {
    return readdirSync(directory, {withFileTypes: true});
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Undefined for what is no image, or has just gone. Symbolic links stand for what they point to. */
function imageName(directory: string, entry: Dirent): string | undefined {
  const fileName = entry.name;
  if (fileName.startsWith('.') || otherSuffixes.some((suffix) => fileName.endsWith(suffix))) return undefined;
  const isPlain = entry.isDirectory() || entry.isFile() || entry.isBlockDevice();
  const kind = isPlain ? entry : statSync(path.join(directory, fileName), {throwIfNoEntry: false});
  const isRaw = fileName.endsWith(rawSuffix) && kind?.isFile();
  if (!isRaw && !kind?.isDirectory() && !kind?.isBlockDevice()) return undefined;
  const name = isRaw ? fileName.slice(0, -rawSuffix.length) : fileName;
  return isImageName(name) ? name : undefined;
}
