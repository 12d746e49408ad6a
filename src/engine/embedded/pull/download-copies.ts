/**
 * Download copies: found again by the validator in their name, and with a note of how they were verified. The note is
 * bound to the inode's birth, which no archive can know, so that unpacked attributes cannot pass for one.
 */
import {closeSync, constants, fstatSync, lstatSync, openSync, readdirSync} from 'node:fs';
import path from 'node:path';
import {type DownloadFormat, downloadName, etagOfName} from '../../../import1/download-name.ts';
import {findXattr, setXattr} from '../../../sys/xattr.ts';
import type {ImageStore, PullRequest, Verification, VerifyMode} from '../../engine.ts';
import {freeze, thaw} from '../freeze.ts';

const noteName = 'user.imgctl.verification';
const levels = ['none', 'checksum', 'signature'] as const;

export interface DownloadCopy {
  path: string;
  etag: string;
  verification: Verification | undefined;
}

export function suffixOf(format: DownloadFormat): string {
  return format === 'raw' ? '.raw' : '';
}

/** The name of the copy of a file with that validator, without the suffix of disk images. */
export function copyStem(store: ImageStore, {format, url}: PullRequest, etag: string | undefined): string {
  const suffix = suffixOf(format);
  const name = downloadName(store.directory, {format, url, etag, suffix});
  return suffix === '' ? name : name.slice(0, -suffix.length);
}

/** Copies of the URL that would do for this pull, if the server says that they are current. */
export function findCopies({store, format, url, verify}: PullRequest): DownloadCopy[] {
  const suffix = suffixOf(format);
  return readdirSync(store.directory).flatMap((name) => {
    const etag = etagOfName(name, {format, url, suffix});
    const file = path.join(store.directory, name);
    const stats = etag === undefined ? undefined : lstatSync(file, {throwIfNoEntry: false});
    const isRight = format === 'raw' ? stats?.isFile() : stats?.isDirectory();
    if (etag === undefined || !isRight || !isHeaderValue(etag)) return [];
    const copy = {path: file, etag, verification: readVerification(file)};
    return willDo(copy, verify) ? [copy] : [];
  });
}

/** Only the digest of the transferred bytes can be compared again, and importd's copies do not tell it. */
function willDo({verification}: DownloadCopy, verify: VerifyMode): boolean {
  if (verify === 'no') return true;
  if (typeof verify === 'object') return verification?.sha256 === verify.sha256;
  return verification !== undefined;
}

/** What may be sent back to the server. */
function isHeaderValue(etag: string): boolean {
  return /^(W\/)?"[\x21\x23-\x7e]*"$/.test(etag);
}

/** What is known of a copy or image; undefined where nothing is, or what is there was not written here. */
export function readVerification(file: string): Verification | undefined {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return readVerificationAt(fd);
  } finally {
    closeSync(fd);
  }
}

export function readVerificationAt(fd: number): Verification | undefined {
  const note = findXattr(fd, noteName);
  return note && parseNote(note, birthOf(fd));
}

/** False where the file system cannot keep the note, which makes a later pull download again. */
export function writeVerification(file: string, verification: Verification): boolean {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    setXattr(fd, noteName, Buffer.from(JSON.stringify({...verification, birth: birthOf(fd)})));
    return true;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return false;
  } finally {
    closeSync(fd);
  }
}

/** Notes a better verification on a read-only copy. */
export function raiseVerification(copy: DownloadCopy, verification: Verification): void {
  if (levels.indexOf(verification.level) <= levels.indexOf(copy.verification?.level ?? 'none')) return;
  const wasFrozen = thaw(copy.path);
  writeVerification(copy.path, verification);
  if (wasFrozen) freeze(copy.path);
}

/** Undefined where the file system does not know when a file was made. */
function birthOf(fd: number): string | undefined {
  const {ino, birthtimeNs} = fstatSync(fd, {bigint: true});
  return birthtimeNs > 0n ? `${ino}.${birthtimeNs}` : undefined;
}

function parseNote(note: Buffer, birth: string | undefined): Verification | undefined {
  try {
    const value = JSON.parse(note.toString()) as Record<string, unknown>;
    const {level, sha256, keyFingerprint} = value;
    const isBound = birth !== undefined && value.birth === birth;
    const isOurs = isBound && typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256);
    const known = levels.find((candidate) => candidate === level);
    if (!isOurs || !known) return undefined;
    return {level: known, sha256, ...(typeof keyFingerprint === 'string' ? {keyFingerprint} : {})};
  } catch {
    return undefined; // not written here
  }
}
