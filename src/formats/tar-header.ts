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

/** True for bytes that begin with a tar header: a right checksum, which no zero block has. */
export function isTarHeader(bytes: Buffer): boolean {
  if (bytes.length < blockSize) return false;
  const recorded = parseOctal(bytes.subarray(checksumOffset, checksumOffset + checksumLength));
  if (recorded === undefined || recorded === 0) return false;
  let unsigned = 0;
  let signed = 0;
  for (let index = 0; index < blockSize; index++) {
    const isChecksum = index >= checksumOffset && index < checksumOffset + checksumLength;
    const byte = isChecksum ? 0x20 : (bytes[index] ?? 0);
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte; // some old writers summed signed characters
  }
  return recorded === unsigned || recorded === signed;
}

/** Reads a header whose checksum is right. */
export function parseTarHeader(block: Buffer): TarHeader {
  const isPosix = block.subarray(magicOffset, magicOffset + posixMagic.length).equals(posixMagic);
  const isGnu = block.subarray(magicOffset, magicOffset + gnuMagic.length).equals(gnuMagic);
  const name = textField(block, 0, 100);
  return {
    name: isPosix ? withPrefix(block, name) : name,
    mode: numberField(block, 100, 8, 'mode') & 0o7777,
    uid: numberField(block, 108, 8, 'owner'),
    gid: numberField(block, 116, 8, 'group'),
    size: numberField(block, 124, 12, 'size'),
    mtime: signedField(block, 136, 12, 'time'),
    type: String.fromCharCode(block[156] ?? 0),
    linkName: textField(block, 157, 100),
    // Old tars left rubbish where the others keep device numbers.
    major: isPosix || isGnu ? numberField(block, 329, 8, 'device number') : 0,
    minor: isPosix || isGnu ? numberField(block, 337, 8, 'device number') : 0,
  };
}

/** A field up to its first NUL. A copy, because headers share a buffer with what follows. */
export function textField(block: Buffer, offset: number, length: number): Buffer {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end));
}

/** A field that cannot be negative: octal text, or base 256 when the top bit is set. */
export function numberField(block: Buffer, offset: number, length: number, what: string): number {
  const value = signedField(block, offset, length, what);
  if (value < 0) throw invalidNumber(what);
  return value;
}

function signedField(block: Buffer, offset: number, length: number, what: string): number {
  const field = block.subarray(offset, offset + length);
  const isBase256 = ((field[0] ?? 0) & 0x80) !== 0;
  const value = isBase256 ? parseBase256(field) : parseOctal(field);
  if (value === undefined || !Number.isSafeInteger(value)) throw invalidNumber(what);
  return value;
}

/** Digits between optional blanks, ended by a blank, a NUL or the end; an empty field is 0. */
function parseOctal(field: Buffer): number | undefined {
  let value = 0;
  let index = 0;
  while (isBlank(field[index])) index++;
  for (; isOctalDigit(field[index]); index++) value = value * 8 + (field[index] ?? 0) - zeroDigit;
  while (isBlank(field[index])) index++;
  return index === field.length || field[index] === 0 ? value : undefined;
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

function withPrefix(block: Buffer, name: Buffer): Buffer {
  const isStar = block.subarray(508, 512).equals(starTrailer);
  const prefix = textField(block, 345, isStar ? 131 : 155);
  return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]);
}

function invalidNumber(what: string): ImgctlError {
  return new ImgctlError('InvalidArchive', `The archive has an entry whose ${what} is not a valid number`);
}
