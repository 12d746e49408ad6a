/**
 * A disk that comes as it is stored: neither compressed nor inside another format. The verified download is moved to its
 * place then, and not written a second time.
 */
import {closeSync, constants, fchmodSync, fsyncSync, openSync, readFileSync} from 'node:fs';
import path from 'node:path';
import type {UrlFile} from '../../../downloads/url-download.ts';
import type {DecompressLimits} from '../../../formats/decompress.ts';
import {sniffCompression, sniffPayload} from '../../../formats/sniff.ts';
import {isBtrfs} from '../../../sys/btrfs.ts';
import {type Staging, stagedRaw} from '../../../sys/staging.ts';
import {diskTooLarge} from '../failure.ts';

/** Judged by the first bytes. */
export function isPlainDisk(head: Buffer): boolean {
  return sniffCompression(head) === 'none' && !['qcow2', 'zfs'].includes(sniffPayload(head));
}

/**
 * Whether the open file can become an image in that directory: nothing is moved from mount to mount. On btrfs it cannot
 * either: disks are made there without copying on write, which a file that has bytes cannot be told any more.
 */
export function canBecomeImage(file: number, directoryPath: string): boolean {
  const directory = openSync(directoryPath, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const mount = mountOf(file);
    return mount !== undefined && mount === mountOf(directory) && !isBtrfs(directory);
  } finally {
    closeSync(directory);
  }
}

/** Its number, proc(5). */
function mountOf(fd: number): string | undefined {
  return /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
}

/** Synced and within the same limit, as the child leaves a disk that it wrote. */
export function moveInto(staging: Staging, file: UrlFile, {maxOutputBytes}: DecompressLimits): void {
  if (file.sizeBytes > maxOutputBytes) throw diskTooLarge(file.sizeBytes, maxOutputBytes);
  fchmodSync(file.fd, 0o644);
  fsyncSync(file.fd);
  file.moveTo(path.join(staging.path, stagedRaw));
}
