import {createHash, type Hash} from 'node:crypto';
import {fstatSync, ftruncateSync, readFileSync, writeSync} from 'node:fs';
import {errnoOf, ImgctlError} from '../../../errors.ts';
import {EarlyWriting, moveTo, positionOf, waitUntilWritable} from '../../../sys/contents.ts';

const appendFlag = 0o2000;

/**
 * Where an export goes. A pipe whose reader is slow makes `write` wait, which holds back everything before it. A
 * file can have holes only where nothing was before, and not when every write goes to its end.
 */
export class Output {
  readonly fd: number;
  readonly canHaveHoles: boolean;
  /** Nothing was written to the file yet, by anybody. */
  readonly isEmptyFile: boolean;
  readonly isFile: boolean;
  readonly #hash: Hash | undefined;
  readonly #early: EarlyWriting | undefined;
  #position = 0;

  constructor(fd: number, {digest = false}: {digest?: boolean} = {}) {
    this.fd = fd;
    const stats = fstatSync(fd);
    this.isFile = stats.isFile();
    if (this.isFile) this.#position = positionOf(fd);
    this.canHaveHoles = this.isFile && this.#position >= stats.size && !isAppending(fd);
    this.#hash = digest && !this.isFile ? createHash('sha256') : undefined;
    this.isEmptyFile = this.canHaveHoles && this.#position === 0;
    this.#early = this.isEmptyFile ? new EarlyWriting(fd) : undefined;
  }

  write(bytes: Buffer): void {
    for (let done = 0; done < bytes.length; ) {
      try {
        done += writeSync(this.fd, bytes, done, bytes.length - done);
      } catch (error) {
        if (errnoOf(error) === 'EAGAIN') waitUntilWritable(this.fd);
        else throw errnoOf(error) === 'EPIPE' ? readerGone(error) : error;
      }
    }
    this.#hash?.update(bytes);
    this.#position += bytes.length;
    this.#early?.reached(this.#position);
  }

  /** What went into a pipe, once all of it has; undefined for files and where nobody asked. */
  written(): {sha256: string; bytes: number} | undefined {
    return this.#hash && {sha256: this.#hash.digest('hex'), bytes: this.#position};
  }

  /** Goes on further behind; what lies between is a hole. Only where there can be any. */
  skip(length: number): void {
    this.#position += length;
    moveTo(this.fd, this.#position);
  }

  /** Makes a hole at the end part of the file. */
  finish(): void {
    if (this.canHaveHoles && fstatSync(this.fd).size < this.#position) ftruncateSync(this.fd, this.#position);
  }
}

function isAppending(fd: number): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
  return flags === undefined || (Number.parseInt(flags, 8) & appendFlag) !== 0;
}

function readerGone(cause: unknown): ImgctlError {
  return new ImgctlError('FileSystem', 'The output was closed by its reader before the export was complete', {
    cause,
    details: {errno: 'EPIPE'},
  });
}
