/** The disk of a volume, written as its blocks come (spec/zfs-send-stream.md §5). */
import {closeSync, constants, fstatSync, ftruncateSync} from 'node:fs';
import {ImgctlError} from '../../../errors.ts';
import {volumeObject} from '../../../formats/zfs-stream/volume.ts';
import {invalidStream} from '../../../formats/zfs-stream/zfs-errors.ts';
import type {ContentSink} from '../../../formats/zfs-stream/zfs-object.ts';
import {copyFileNow} from '../../../sys/copy-file.ts';
import {tryNoCow} from '../raw-writer.ts';
import type {StateFacts} from './object-state.ts';
import {changedOrigin, openOriginData} from './origin-tree.ts';
import {SparseFile} from './sparse-file.ts';

export class VolumeFile implements ContentSink {
  readonly #maxBytes: number;
  #file: SparseFile | undefined;
  #fd = -1;
  #writtenEnd = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Begins with an empty file, or with the disk of an origin. The caller closes it. */
  start(fd: number, origin?: {path: string; disk: StateFacts['disk']}): void {
    this.#fd = fd;
    if (origin) copyDisk(origin.path, origin.disk, fd);
    else tryNoCow(fd);
    this.#file = new SparseFile(fd, fstatSync(fd).size);
  }

  write(object: number, offset: number, bytes: Buffer): void {
    if (object !== volumeObject) throw invalidStream(`object ${object} of a volume has contents`);
    this.#writtenEnd = Math.max(this.#writtenEnd, offset + bytes.length);
    if (this.#writtenEnd > this.#maxBytes) {
      throw new ImgctlError('LimitExceeded', `The disk is larger than the limit of ${this.#maxBytes} bytes`);
    }
    this.#file?.write(offset, bytes);
  }

  free(object: number, offset: number, length: number): void {
    if (object === volumeObject) this.#file?.free(offset, Math.min(length, Number.MAX_SAFE_INTEGER - offset));
  }

  drop(object: number): void {
    this.free(object, 0, Number.MAX_SAFE_INTEGER);
  }

  /** Gives the disk its size. */
  finish(size: number): void {
    if (size > this.#maxBytes) {
      throw new ImgctlError(
        'LimitExceeded',
        `The disk has ${size} bytes, more than the limit of ${this.#maxBytes}`,
      );
    }
    if (this.#writtenEnd > size) throw invalidStream(`a block lies behind the end of the disk at ${size}`);
    this.#file?.flush();
    ftruncateSync(this.#fd, size);
  }
}

function copyDisk(path: string, disk: StateFacts['disk'], target: number): void {
  const source = openOriginData(path, constants.O_RDONLY);
  try {
    const {size, mtimeNs} = fstatSync(source, {bigint: true});
    if (!disk || size !== BigInt(disk.size) || String(mtimeNs) !== disk.mtimeNs) throw changedOrigin(path);
    tryNoCow(target);
    copyFileNow(source, target);
  } finally {
    closeSync(source);
  }
}
