/** What an archive says of one entry of a tree. */
import {type BigIntStats, constants, readSync} from 'node:fs';
import {errnoOf} from '../../../errors.ts';
import type {SparseRun} from '../../../formats/tar-sparse.ts';
import type {NewTarEntry} from '../../../formats/tar-writer.ts';
import {findData} from '../../../sys/contents.ts';
import {openBeneath} from '../../../sys/files.ts';
import {findXattr, listXattrs} from '../../../sys/xattr.ts';

export const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
export const fileFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const chunkBytes = 1024 * 1024;
/** A file in more pieces is stored with its holes: its map would be larger than readers allow. */
const maxRuns = 200_000;

/**
 * The bytes of a run; zeros, and false at the end, where the file has become shorter. Each piece is a buffer of its own,
 * or the beginning of the one given.
 */
export function* readBody(
  fd: number,
  {offset, length}: SparseRun,
  reused?: Buffer,
): Generator<Buffer, boolean> {
  let isWhole = true;
  for (let done = 0; done < length; ) {
    const wanted = Math.min(length - done, reused?.length ?? chunkBytes);
    const buffer = reused?.subarray(0, wanted) ?? Buffer.allocUnsafe(wanted);
    let count = isWhole ? readSync(fd, buffer, 0, buffer.length, offset + done) : 0;
    if (count === 0) {
      isWhole = false;
      count = buffer.fill(0).length;
    }
    done += count;
    yield buffer.subarray(0, count);
  }
  return isWhole;
}

/** Where a file holds data; undefined for one without holes. */
export function findRuns(fd: number, size: number): SparseRun[] | undefined {
  const runs: SparseRun[] = [];
  let stored = 0;
  for (let range = findData(fd, 0, size); range; range = findData(fd, range.end, size)) {
    runs.push({offset: range.start, length: range.end - range.start});
    stored += range.end - range.start;
    if (runs.length > maxRuns) return undefined;
  }
  return stored < size ? runs : undefined;
}

/** Undefined for what lies on another mount. */
export function openSameMount(dir: number, name: Buffer, flags: number): number | undefined {
  try {
    return openBeneath(dir, name, flags, {sameMount: true});
  } catch (error) {
    if (errnoOf(error) === 'EXDEV') return undefined;
    throw error;
  }
}

/** The split of dev_t in makedev(3). */
export function deviceOf({rdev}: BigIntStats): {major: number; minor: number} {
  return {
    major: Number(((rdev >> 32n) & 0xfffff000n) | ((rdev >> 8n) & 0xfffn)),
    minor: Number(((rdev >> 12n) & 0xffffff00n) | (rdev & 0xffn)),
  };
}

export function metadataOf(
  stats: BigIntStats,
  file: number | Buffer,
): Omit<NewTarEntry, 'type' | 'path' | 'size'> {
  const xattrs = new Map<string, Buffer>();
  for (const name of listXattrs(file)) {
    const value = findXattr(file, name);
    if (value) xattrs.set(name, value);
  }
  return {
    mode: Number(stats.mode) & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtimeNs: stats.mtimeNs,
    xattrs,
  };
}
