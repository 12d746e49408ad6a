/** The header of qcow2, versions 2 and 3 (QEMU, docs/interop/qcow2.rst), and what is refused because of it. */
import {invalidQcow2, tooLargeQcow2, truncatedQcow2, unsupportedQcow2} from './qcow2-errors.ts';
import type {RandomAccess} from './random-access.ts';

export interface Qcow2Header {
  version: 2 | 3;
  clusterBits: number;
  clusterSize: number;
  /** Bytes of the disk inside. */
  virtualSize: number;
  l1Offset: number;
  /** Entries of the table that the disk needs; it may have more. */
  l1Entries: number;
  refcountTableOffset: number;
  refcountTableBytes: number;
  refcountBits: number;
  compression: 'zlib' | 'zstd';
  /** Entries of two words, which tell about 32 parts of a cluster. */
  hasExtendedL2: boolean;
}

const magic = 0x514649fb;
const version2Bytes = 72;
const version3Bytes = 104;
const maxHeaderBytes = 4096;
/** QEMU's own limits. */
const maxL1Bytes = 32 * 1024 * 1024;
const maxRefcountTableBytes = 8 * 1024 * 1024;
/** A subcluster, of which there are 32, is a sector at least. */
const minExtendedClusterBits = 14;

const incompatible = {
  dirty: 1n << 0n,
  corrupt: 1n << 1n,
  dataFile: 1n << 2n,
  compression: 1n << 3n,
  extendedL2: 1n << 4n,
};
const known = Object.values(incompatible).reduce((all, bit) => all | bit);
const featureNameTable = 0x6803f857;
const featureNameBytes = 48;

/** Reads the header; fails with a named error for everything that cannot be read rightly. */
export function readQcow2Header(source: RandomAccess, maxVirtualBytes: number): Qcow2Header {
  const bytes = source.read(0, maxHeaderBytes);
  if (bytes.length < 8 || bytes.readUInt32BE(0) !== magic) throw invalidQcow2('it has no qcow2 header');
  const version = bytes.readUInt32BE(4);
  if (version !== 2 && version !== 3) throw unsupportedQcow2(`has version ${version}`);
  if (bytes.length < (version === 2 ? version2Bytes : version3Bytes)) throw truncatedQcow2('its header');
  refuseByHeader(bytes);
  const features = version === 2 ? plainFeatures : readFeatures(bytes);
  const clusterBits = bytes.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) throw invalidQcow2(`its cluster size is 2^${clusterBits} bytes`);
  if (features.hasExtendedL2 && clusterBits < minExtendedClusterBits) {
    throw invalidQcow2(`its clusters of 2^${clusterBits} bytes are too small for subclusters`);
  }
  const virtualSize = Number(bytes.readBigUInt64BE(24));
  if (virtualSize > maxVirtualBytes) {
    throw tooLargeQcow2(`its disk has ${virtualSize} bytes, more than the limit of ${maxVirtualBytes}`);
  }
  const clusterSize = 2 ** clusterBits;
  const base = {version, clusterBits, clusterSize, virtualSize, ...features} as const;
  return {...base, ...readTables(bytes, source.size, base)};
}

const plainFeatures = {refcountBits: 16, compression: 'zlib', hasExtendedL2: false} as const;

function refuseByHeader(bytes: Buffer): void {
  if (bytes.readBigUInt64BE(8) !== 0n || bytes.readUInt32BE(16) !== 0) {
    throw unsupportedQcow2(
      'has a backing file, and only part of the disk is in it',
      'Convert it with "qemu-img convert" where its backing file is',
    );
  }
  const method = bytes.readUInt32BE(32);
  if (method !== 0) throw unsupportedQcow2(`is encrypted (method ${method})`);
}

type Features = Pick<Qcow2Header, 'refcountBits' | 'compression' | 'hasExtendedL2'>;

function readFeatures(bytes: Buffer): Features {
  const bits = bytes.readBigUInt64BE(72);
  const headerBytes = bytes.readUInt32BE(100);
  if (headerBytes < version3Bytes || headerBytes % 8 !== 0 || headerBytes > bytes.length) {
    throw invalidQcow2(`its header has ${headerBytes} bytes`);
  }
  refuseFeatures(bits, bytes, headerBytes);
  const order = bytes.readUInt32BE(96);
  if (order > 6) throw invalidQcow2(`its reference counts have 2^${order} bits`);
  return {
    refcountBits: 2 ** order,
    compression: compressionOf(headerBytes > version3Bytes ? (bytes[104] ?? 0) : 0, bits),
    hasExtendedL2: (bits & incompatible.extendedL2) !== 0n,
  };
}

function refuseFeatures(bits: bigint, bytes: Buffer, headerBytes: number): void {
  const repair = 'Repair it with "qemu-img check -r all" first';
  if (bits & incompatible.corrupt) throw unsupportedQcow2('is marked as corrupt', repair);
  if (bits & incompatible.dirty) throw unsupportedQcow2('is marked as dirty: it was not closed', repair);
  if (bits & incompatible.dataFile) throw unsupportedQcow2('has an external data file');
  for (let bit = 0; bit < 64; bit++) {
    if (!(bits & ~known & (1n << BigInt(bit)))) continue;
    const name = featureName(bytes, headerBytes, bit);
    throw unsupportedQcow2(`has the unknown feature ${bit}${name === '' ? '' : ` ("${name}")`}`);
  }
}

function compressionOf(type: number, bits: bigint): 'zlib' | 'zstd' {
  const isMarked = (bits & incompatible.compression) !== 0n;
  if (type > 1) throw unsupportedQcow2(`has the unknown compression ${type}`);
  if (isMarked !== (type !== 0)) throw invalidQcow2('its compression and its features contradict each other');
  return type === 1 ? 'zstd' : 'zlib';
}

/** The name the image gives to an incompatible feature; empty if it gives none. */
function featureName(bytes: Buffer, start: number, bit: number): string {
  for (let offset = start; offset + 8 <= bytes.length; ) {
    const type = bytes.readUInt32BE(offset);
    const length = bytes.readUInt32BE(offset + 4);
    const end = offset + 8 + length;
    if (type === 0 || end > bytes.length) break;
    for (let entry = offset + 8; type === featureNameTable && entry + featureNameBytes <= end; ) {
      const isThis = bytes[entry] === 0 && bytes[entry + 1] === bit;
      if (isThis) return printable(bytes.toString('latin1', entry + 2, entry + featureNameBytes));
      entry += featureNameBytes;
    }
    offset = offset + 8 + Math.ceil(length / 8) * 8;
  }
  return '';
}

function printable(text: string): string {
  return text.split('\0', 1)[0]?.replace(/[^ -~]/g, '?') ?? '';
}

type Tables = Pick<Qcow2Header, 'l1Offset' | 'l1Entries' | 'refcountTableOffset' | 'refcountTableBytes'>;

function readTables(
  bytes: Buffer,
  fileSize: number,
  {
    clusterSize,
    virtualSize,
    hasExtendedL2,
  }: Pick<Qcow2Header, 'clusterSize' | 'virtualSize' | 'hasExtendedL2'>,
): Tables {
  const covered = (clusterSize / (hasExtendedL2 ? 16 : 8)) * clusterSize;
  const l1Entries = Math.ceil(virtualSize / covered);
  const present = bytes.readUInt32BE(36);
  if (present * 8 > maxL1Bytes) throw tooLargeQcow2(`its L1 table has ${present} entries`);
  if (present < l1Entries) {
    throw invalidQcow2(`its L1 table has ${present} entries, and its disk needs ${l1Entries}`);
  }
  const refcountTableBytes = bytes.readUInt32BE(56) * clusterSize;
  if (refcountTableBytes > maxRefcountTableBytes) {
    throw tooLargeQcow2(`its table of reference counts has ${refcountTableBytes} bytes`);
  }
  const place = (offset: number, length: number, what: string) => {
    const start = Number(bytes.readBigUInt64BE(offset));
    if (start % clusterSize !== 0) throw invalidQcow2(`${what} does not begin with a cluster`);
    if (length > 0 && start + length > fileSize) throw truncatedQcow2(what);
    return start;
  };
  return {
    l1Offset: place(40, l1Entries * 8, 'its L1 table'),
    l1Entries,
    refcountTableOffset: place(48, refcountTableBytes, 'its table of reference counts'),
    refcountTableBytes,
  };
}
