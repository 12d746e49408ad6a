/** The 512-byte header of tar: v7, POSIX ustar, star and GNU, with base-256 numbers. */
import {ImgctlError} from '../errors.ts';

export const blockSize = 512;

export interface TarHeader {
  name: Buffer;
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of the body in the archive. */
  size: number;
  mtime: number;
  type: string;
  linkName: Buffer;
  major: number;
  minor: number;
}

const checksumOffset = 148;
const checksumLength = 8;
const magicOffset = 257;
const posixMagic = Buffer.from('ustar\0');
const gnuMagic = Buffer.from('ustar  \0');
const starTrailer = Buffer.from('tar\0');
const noText = Buffer.alloc(0);

/** True for bytes that have a tar header at `start`: a right checksum, which no zero block has. */
export function isTarHeader(bytes: Buffer, start = 0): boolean {
  if (bytes.length < start + blockSize) return false;
  const recorded = parseOctal(bytes, start + checksumOffset, checksumLength);
  if (recorded === undefined || recorded === 0) return false;
  return recorded === sumOf(bytes, start, 0) || recorded === sumOf(bytes, start, 0x80);
}

/** The checksum counts itself as blanks. Some old writers summed signed characters: those from `signBit` on are negative. */
function sumOf(bytes: Buffer, start: number, signBit: number): number {
  let sum = checksumLength * 0x20;
  for (let index = start; index < start + blockSize; index++) sum += bytes[index] ?? 0;
  for (let index = 0; index < checksumLength; index++) sum -= bytes[start + checksumOffset + index] ?? 0;
  if (signBit === 0) return sum;
  for (let index = 0; index < blockSize; index++) {
    const isChecksum = index >= checksumOffset && index < checksumOffset + checksumLength;
    if (!isChecksum && (bytes[start + index] ?? 0) >= signBit) sum -= 256;
  }
  return sum;
}

/** Reads the header at `start`, whose checksum is right. */
export function parseTarHeader(block: Buffer, start = 0): TarHeader {
  const isPosix = begins(block, start + magicOffset, posixMagic);
  const isGnu = !isPosix && begins(block, start + magicOffset, gnuMagic);
  const name = textField(block, start, 100);
  return {
    name: isPosix ? withPrefix(block, start, name) : name,
    mode: numberField(block, start + 100, 8, 'mode') & 0o7777,
    uid: numberField(block, start + 108, 8, 'owner'),
    gid: numberField(block, start + 116, 8, 'group'),
    size: numberField(block, start + 124, 12, 'size'),
    mtime: signedField(block, start + 136, 12, 'time'),
    type: String.fromCharCode(block[start + 156] ?? 0),
    linkName: textField(block, start + 157, 100),
    // Old tars left rubbish where the others keep device numbers.
    major: isPosix || isGnu ? numberField(block, start + 329, 8, 'device number') : 0,
    minor: isPosix || isGnu ? numberField(block, start + 337, 8, 'device number') : 0,
  };
}

function begins(block: Buffer, offset: number, magic: Buffer): boolean {
  for (let index = 0; index < magic.length; index++) if (block[offset + index] !== magic[index]) return false;
  return true;
}

/** A field up to its first NUL. A copy, because headers share a buffer with what follows. */
export function textField(block: Buffer, offset: number, length: number): Buffer {
  let end = offset;
  while (end < offset + length && block[end] !== 0) end++;
  return end === offset ? noText : Buffer.from(block.subarray(offset, end));
}

/** A field that cannot be negative: octal text, or base 256 when the top bit is set. */
export function numberField(block: Buffer, offset: number, length: number, what: string): number {
  const value = signedField(block, offset, length, what);
  if (value < 0) throw invalidNumber(what);
  return value;
}

function signedField(block: Buffer, offset: number, length: number, what: string): number {
  const isBase256 = ((block[offset] ?? 0) & 0x80) !== 0;
  const value = isBase256
    ? parseBase256(block.subarray(offset, offset + length))
    : parseOctal(block, offset, length);
  if (value === undefined || !Number.isSafeInteger(value)) throw invalidNumber(what);
  return value;
}

/** Digits between optional blanks, ended by a blank, a NUL or the end; an empty field is 0. */
function parseOctal(block: Buffer, offset: number, length: number): number | undefined {
  const end = offset + length;
  let value = 0;
  let index = offset;
  while (index < end && isBlank(block[index])) index++;
  for (; index < end && isOctalDigit(block[index]); index++)
    value = value * 8 + (block[index] ?? 0) - zeroDigit;
  while (index < end && isBlank(block[index])) index++;
  return index === end || block[index] === 0 ? value : undefined;
}

const zeroDigit = 0x30;

function isOctalDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= zeroDigit && byte < zeroDigit + 8;
}

/** Space, and tab to carriage return. */
function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}

/** Two's complement, most significant byte first; the top bit only marks the form. */
function parseBase256(field: Buffer): number {
  const isNegative = ((field[0] ?? 0) & 0x40) !== 0;
  let value = BigInt((field[0] ?? 0) & 0x3f);
  for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte);
  return Number(isNegative ? value - (1n << BigInt(field.length * 8 - 2)) : value);
}

function withPrefix(block: Buffer, start: number, name: Buffer): Buffer {
  const isStar = begins(block, start + 508, starTrailer);
  const prefix = textField(block, start + 345, isStar ? 131 : 155);
  return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]);
}

function invalidNumber(what: string): ImgctlError {
  return new ImgctlError('InvalidArchive', `The archive has an entry whose ${what} is not a valid number`);
}

const zeroBlock = Buffer.alloc(64 * 1024);

/** Of blocks, which end an archive. */
export function isZero(bytes: Buffer): boolean {
  for (let start = 0; start < bytes.length; start += zeroBlock.length) {
    const end = Math.min(start + zeroBlock.length, bytes.length);
    if (zeroBlock.compare(bytes, start, end, 0, end - start) !== 0) return false;
  }
  return true;
}

/** Bytes between the end of a body and the next header. */
export function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}
