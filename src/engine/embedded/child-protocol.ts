/**
 * What the unpacking child is told (one JSON argument) and what it answers (a JSON line each on standard output).
 * The child reads untrusted bytes and may have been taken over by them: answers are checked, and none names a
 * path or a descriptor for the parent to use.
 */
import {type ErrorCode, ImgctlError} from '../../errors.ts';
import type {DecompressLimits} from '../../formats/decompress.ts';
import type {ImageFormat} from '../engine.ts';

export interface UnpackTask {
  format: ImageFormat;
  /** Set for format `directory`; otherwise standard input is the file. */
  sourceDirectory?: SourceDirectory;
  limits: DecompressLimits;
  maxEntries: number;
  /** The installed image that an increment is applied to. */
  origin?: OriginPlace;
  /** The parent words its own lines about sizes. */
  isPull?: boolean;
  /** The file is not whole yet; descriptor 3 tells how far it reaches (arrival.ts). */
  isArriving?: boolean;
  /** How large it will be, where that is known. */
  sourceBytes?: number;
  /** The staging directory holds a copy of the base that the file goes over; the format says which kind it must be. */
  base?: {digest?: string};
  /** Make a second image of the file beside the first, unless a copy can share its blocks. */
  needsTwin?: boolean;
  /** Tell the digest of what was stored. */
  digestContents?: boolean;
}

export interface OriginPlace {
  /** Absolute path. */
  directory: string;
  /** Local name. */
  name: string;
}

export interface SourceDirectory {
  path: string;
  /** Device and inode it must have: a path may lead elsewhere than when it was looked at. */
  identity?: string;
}

export type StoredFormat = 'tar' | 'raw' | 'directory';

export type ChildMessage =
  | {type: 'sniffed'; format: StoredFormat; neededBytes?: number}
  | {type: 'progress'; fraction: number}
  /** What a stream on its way into a pool of ZFS is; `fromGuid` is the snapshot that it starts from. */
  | {type: 'zfs'; kind: 'file system' | 'volume'; fromGuid?: string}
  /** Bytes after decompression. */
  | {type: 'decoded'; bytes: number}
  | {type: 'log'; level: number; line: string}
  /** `sha256:HEX` of the contents of the base. */
  | {type: 'base'; digest: string}
  /** The same of the image itself. */
  | {type: 'contents'; digest: string}
  /** What was written to a pipe. */
  | {type: 'output'; sha256: string; bytes: number}
  | {type: 'done'; notices: string[]}
  | {type: 'error'; code: ErrorCode; message: string; hint?: string; details?: Record<string, unknown>};

/** Codes a child may end with; anything else is its fault, not the file's. */
const childCodes: readonly ErrorCode[] = [
  'FileSystem',
  'InternalError',
  'InvalidArchive',
  'InvalidArgument',
  'LimitExceeded',
  'NoSpace',
  'NotSupported',
  'OriginMismatch',
  'OriginNotInstalled',
  'UncompressionError',
  'UnexpectedNumberOfSnapshots',
];

const digestPattern = /^sha256:[0-9a-f]{64}$/;
const maxText = 16 * 1024;
const maxNotices = 64;

/** Reads one line of the child; fails with `InternalError` if it is not a message. */
export function parseChildMessage(line: string): ChildMessage {
  const value = parseObject(line);
  const {type} = value;
  if (type === 'sniffed' && isFormat(value.format)) {
    const {format, neededBytes} = value;
    return {type, format, ...(typeof neededBytes === 'number' ? {neededBytes} : {})};
  }
  if (type === 'zfs' && (value.kind === 'file system' || value.kind === 'volume')) {
    const {kind, fromGuid} = value;
    return {type, kind, ...(isText(fromGuid) && /^\d{1,20}$/.test(fromGuid) ? {fromGuid} : {})};
  }
  if (type === 'progress' && typeof value.fraction === 'number') {
    return {type, fraction: Math.min(Math.max(value.fraction, 0), 1)};
  }
  if (type === 'decoded' && typeof value.bytes === 'number') return {type, bytes: value.bytes};
  if ((type === 'base' || type === 'contents') && isText(value.digest) && digestPattern.test(value.digest)) {
    return {type, digest: value.digest};
  }
  if (type === 'output' && isText(value.sha256) && typeof value.bytes === 'number') {
    if (/^[0-9a-f]{64}$/.test(value.sha256)) return {type, sha256: value.sha256, bytes: value.bytes};
  }
  if (type === 'log' && typeof value.level === 'number' && isText(value.line)) {
    return {type, level: value.level, line: printable(value.line)};
  }
  if (type === 'done' && Array.isArray(value.notices) && value.notices.length <= maxNotices) {
    return {type, notices: value.notices.filter(isText).map(printable)};
  }
  if (type === 'error' && isText(value.message) && childCodes.includes(value.code as ErrorCode)) {
    const hint = isText(value.hint) ? {hint: printable(value.hint)} : {};
    const details = isRecord(value.details) ? {details: value.details} : {};
    return {type, code: value.code as ErrorCode, message: printable(value.message), ...hint, ...details};
  }
  throw notUnderstood();
}

export function errorMessage(error: ImgctlError): ChildMessage {
  const {code, message, hint, details} = error;
  return {type: 'error', code, message, ...(hint === undefined ? {} : {hint}), ...(details ? {details} : {})};
}

function parseObject(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (isRecord(value)) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw notUnderstood();
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFormat(value: unknown): value is StoredFormat {
  return value === 'tar' || value === 'raw' || value === 'directory';
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= maxText;
}

/** Text for a terminal, whatever an archive put into its names. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}

function notUnderstood(): ImgctlError {
  return new ImgctlError('InternalError', 'The unpacking process sent something that is not an answer');
}
