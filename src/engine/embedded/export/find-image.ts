import {realpathSync, type Stats, statSync} from 'node:fs';
import path from 'node:path';
import {errnoOf, ImgctlError} from '../../../errors.ts';
import {imageNameForms} from '../../../import1/image-name.ts';
import type {ExportRequest, ImageStore} from '../../engine.ts';
import {existingForms} from '../image-forms.ts';

/** The path, without symbolic links, of the form of an image that systemd would take: a directory wins. */
export function findImage(store: ImageStore, name: string): string {
  const forms = existingForms(store, name);
  const found = imageNameForms(name, store.imageClass).find((form) => {
    if (!forms.includes(form) || /\.(v|mstack)$/.test(form.slice(name.length))) return false;
    const stats = statOrNothing(path.join(store.directory, form));
    return stats?.isDirectory() || stats?.isBlockDevice() || (stats?.isFile() && form.endsWith('.raw'));
  });
  if (found !== undefined) return realpathSync(path.join(store.directory, found));
  const [other] = forms;
  if (other === undefined) {
    throw new ImgctlError('ImageNotInstalled', `image "${name}" does not exist in "${store.directory}"`);
  }
  throw new ImgctlError('NotSupported', `"${path.join(store.directory, other)}" cannot be exported`);
}

/** Fails when an image is not of the kind that the export asks for. */
export function checkKind(image: string, {format, localName}: ExportRequest): void {
  const stats = statSync(image);
  if (stats.isBlockDevice()) throw new ImgctlError('NotSupported', `Image "${localName}" is a block device`);
  if (stats.isDirectory() === (format === 'tar')) return;
  const [is, isNot, errno] = stats.isDirectory()
    ? ['a directory tree', 'a disk image', 'EISDIR']
    : ['a disk image', 'a directory tree', 'ENOTDIR'];
  throw new ImgctlError('InvalidArgument', `Image "${localName}" is ${is}, not ${isNot}`, {
    hint: `Export it as ${format === 'tar' ? 'raw' : 'tar'}`,
    details: {errno},
  });
}

function statOrNothing(file: string): Stats | undefined {
  try {
    return statSync(file);
  } catch (error) {
    if (['ENOENT', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}
