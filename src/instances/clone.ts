/**
 * Instances: writable copies of images in the directory of class machine (design.md §5). A copy is made under a temporary
 * name that nobody else can enter, synced, and renamed; an interrupted one is swept by the engine like its own.
 */

import {closeSync, constants, fsyncSync, openSync} from 'node:fs';
import {lstat, readdir} from 'node:fs/promises';
import path from 'node:path';
import {errnoOf, ImgctlError} from '../errors.ts';
import {imageNameForms, isImageName} from '../import1/image-name.ts';
import {copyImage} from '../sys/copy-image.ts';
import {AT_FDCWD, renameAt} from '../sys/files.ts';
import {makeStaging, stagedRaw, stagedTree} from '../sys/staging.ts';

export interface CloneRequest {
  /** The image: a directory, a subvolume or a raw disk file. */
  imagePath: string;
  /** Directory of class machine; the instance appears in it. */
  imageClassDirectory: string;
  name: string;
  signal: AbortSignal;
  onNotice(text: string): void;
  /** Called when the copy is complete and not yet visible. */
  beforeCommit(): Promise<void>;
}

/** The path of the new instance. `InvalidArgument` for a bad name, `InstanceExists` for one that is taken. */
export async function cloneInstance(request: CloneRequest): Promise<string> {
  const {name, imageClassDirectory, imagePath} = request;
  if (!isImageName(name)) throw new ImgctlError('InvalidArgument', `invalid instance name: "${name}"`);
  await refuseTaken(imageClassDirectory, name);
  const isDirectory = (await lstat(imagePath)).isDirectory();
  const finalName = isDirectory ? name : `${name}.raw`;
  const staging = makeStaging(imageClassDirectory, name);
  try {
    const copy = path.join(staging.path, isDirectory ? stagedTree : stagedRaw);
    const notices = await copyImage(imagePath, copy, {signal: request.signal});
    for (const notice of notices) request.onNotice(`instance "${name}": ${notice}`);
    await request.beforeCommit();
    return await putInPlace(copy, path.join(imageClassDirectory, finalName), name);
  } catch (error) {
    throw storageFailure(error, name);
  } finally {
    await staging.remove();
  }
}

async function refuseTaken(directory: string, name: string): Promise<void> {
  const forms = new Set(imageNameForms(name));
  const taken = (await readdir(directory)).find((entry) => forms.has(entry));
  if (taken === undefined) return;
  throw nameTaken(name, path.join(directory, taken));
}

function nameTaken(name: string, place: string): ImgctlError {
  return new ImgctlError('InstanceExists', `instance "${name}" already exists: "${place}"`, {
    hint: 'choose another name',
  });
}

function storageFailure(error: unknown, name: string): unknown {
  const errno = errnoOf(error);
  if (error instanceof ImgctlError || errno === undefined) return error;
  const isFull = errno === 'ENOSPC' || errno === 'EDQUOT';
  const message = `cannot make instance "${name}": ${(error as Error).message}`;
  return new ImgctlError(isFull ? 'NoSpace' : 'FileSystem', message, {cause: error, retryable: isFull});
}

async function putInPlace(copy: string, target: string, name: string): Promise<string> {
  try {
    renameAt(AT_FDCWD, copy, AT_FDCWD, target, 'noReplace');
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') throw nameTaken(name, target);
    throw error;
  }
  const fd = openSync(path.dirname(target), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return target;
}
