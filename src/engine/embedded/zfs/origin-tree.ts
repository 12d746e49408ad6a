/** The files of an installed origin by their objects. Each is compared with what the origin's state says of it. */
import {closeSync, constants, fstatSync, openSync} from 'node:fs';
import {errnoOf, ImgctlError} from '../../../errors.ts';
import type {Dataset} from '../../../formats/zfs-stream/dataset.ts';
import type {FileEntry, FileTree} from '../../../formats/zfs-stream/file-tree.ts';
import type {Scratch} from '../../../formats/zfs-stream/zfs-object.ts';
import {openBeneath} from '../../../sys/files.ts';

export interface OriginFile {
  size: number;
  /** No name in the origin leads to it, so nobody has its contents. */
  isLost: boolean;
}

export interface OriginOptions {
  /** The origin's objects, before anything changes them. */
  dataset: Dataset;
  tree: FileTree;
  /** The open directory; the caller closes it. */
  top: number;
  /** Name of the directory whose contents were moved up when the origin was stored. */
  lifted: Buffer | undefined;
  /** Whether contents of an object are already here. */
  has: (object: number) => boolean;
}

const plainFile = 19;
const fileFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const lost: OriginFile = {size: 0, isLost: true};
/** Size, time in nanoseconds, length of the path. */
const noteBytes = 18;

export class OriginTree {
  readonly #top: number;
  readonly #scratch: Scratch;
  /** Where the scratch file says more; -1 of lost ones. */
  readonly #notes = new Map<number, number>();

  constructor({dataset, tree, top, lifted, has}: OriginOptions) {
    this.#top = top;
    this.#scratch = dataset.scratch;
    for (const entry of tree.entries()) {
      if (entry.type === 'file') this.#notes.set(entry.object, this.#note(entry, lifted));
    }
    for (const [number, object] of dataset.objects) {
      if (object.type !== plainFile || this.#notes.has(number) || has(number)) continue;
      if (!object.isReached || tree.sizeOf(number) > 0) this.#notes.set(number, -1);
    }
  }

  find(object: number): OriginFile | undefined {
    const at = this.#notes.get(object);
    if (at === undefined) return undefined;
    if (at < 0) return lost;
    return {size: this.#read(at).size, isLost: false};
  }

  /** The object is another one from now on. */
  forget(object: number): void {
    this.#notes.delete(object);
  }

  /** Opens the file; fails with `OriginNotInstalled` if it is not as it was stored. The caller closes it. */
  open(object: number): number {
    const {size, mtimeNs, path} = this.#read(this.#notes.get(object) ?? 0);
    const fd = this.#openFile(path);
    const stats = fstatSync(fd, {bigint: true});
    if (stats.isFile() && stats.size === BigInt(size) && stats.mtimeNs === mtimeNs) return fd;
    closeSync(fd);
    throw changedOrigin(path.toString());
  }

  #openFile(path: Buffer): number {
    try {
      return openBeneath(this.#top, path, fileFlags);
    } catch (error) {
      const code = errnoOf(error) ?? '';
      if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(code)) throw changedOrigin(path.toString());
      throw code === 'EACCES' ? unreadableOrigin(path.toString(), error) : error;
    }
  }

  #note({path, size, mtimeNs}: FileEntry, lifted: Buffer | undefined): number {
    const inTree = lifted ? path.subarray(lifted.length + 1) : path;
    const note = Buffer.alloc(noteBytes);
    note.writeDoubleLE(size, 0);
    note.writeBigInt64LE(mtimeNs, 8);
    note.writeUInt16LE(inTree.length, 16);
    return this.#scratch.append(Buffer.concat([note, inTree]));
  }

  #read(at: number): {size: number; mtimeNs: bigint; path: Buffer} {
    const note = this.#scratch.read(at, noteBytes);
    const path = this.#scratch.read(at + noteBytes, note.readUInt16LE(16));
    return {size: note.readDoubleLE(0), mtimeNs: note.readBigInt64LE(8), path};
  }
}

/** Modes of the tree bind its owner too, unless that is root. */
function unreadableOrigin(path: string, cause: unknown): ImgctlError {
  return new ImgctlError(
    'FileSystem',
    `This user cannot read "${path}" of the installed origin, as its mode says`,
    {
      cause,
      hint: 'Import changes of such a tree as root',
    },
  );
}

/** Opens the data of the origin itself; the caller closes it. */
export function openOriginData(path: string, flags: number): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) throw changedOrigin(path);
    throw error;
  }
}

/** Something of the installed origin is not what was stored. */
export function changedOrigin(what: string): ImgctlError {
  return new ImgctlError(
    'OriginNotInstalled',
    `The installed origin was changed: "${what}" is not as it was stored`,
    {
      hint: 'Delete the origin and import it again',
    },
  );
}
