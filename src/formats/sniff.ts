/** Tells from the first bytes what a file is; names and declared types are never asked (spec/engine.md §4). */
import {isTarHeader} from './tar-header.ts';

export type Compression = 'none' | 'gzip' | 'xz' | 'zstd' | 'bzip2' | 'lz4';
export type Payload = 'tar' | 'qcow2' | 'squashfs' | 'zfs' | 'raw';

/** Bytes of the beginning that the answers depend on. */
export const sniffBytes = 512;

/** Upstream asks only once six bytes are there; anything shorter is not compressed. */
const shortestCompressed = 6;

const compressionMagics: readonly [Exclude<Compression, 'none'>, Buffer][] = [
  ['gzip', Buffer.from('1f8b', 'hex')],
  ['xz', Buffer.from('fd377a585a00', 'hex')],
  ['zstd', Buffer.from('28b52ffd', 'hex')],
  ['bzip2', Buffer.from('BZh')],
  ['lz4', Buffer.from('04224d18', 'hex')],
];

const qcow2Magic = Buffer.from('514649fb', 'hex');
const squashfsMagic = Buffer.from('hsqs');
/** DMU_BACKUP_MAGIC, in the byte order of the machine that sent (spec/zfs-send-stream.md). */
const zfsMagic = 0x2f5bacbacn;
const zfsMagicOffset = 8;

export function sniffCompression(head: Buffer): Compression {
  if (head.length < shortestCompressed) return 'none';
  if (isSkippableZstdFrame(head)) return 'zstd';
  for (const [compression, magic] of compressionMagics) {
    if (head.subarray(0, magic.length).equals(magic)) return compression;
  }
  return 'none';
}

/** What decompressed bytes are, judged by their first `sniffBytes`. */
export function sniffPayload(head: Buffer): Payload {
  if (head.subarray(0, qcow2Magic.length).equals(qcow2Magic)) return 'qcow2';
  if (head.subarray(0, squashfsMagic.length).equals(squashfsMagic)) return 'squashfs';
  if (head.length >= zfsMagicOffset + 8) {
    const value = [head.readBigUInt64LE(zfsMagicOffset), head.readBigUInt64BE(zfsMagicOffset)];
    if (value.includes(zfsMagic)) return 'zfs';
  }
  return isTarHeader(head) ? 'tar' : 'raw';
}

/** pzstd begins its files with a skippable frame that holds four bytes (RFC 8878 §3.1.2). */
function isSkippableZstdFrame(head: Buffer): boolean {
  const isSkippable = head.readUInt32LE(0) >>> 4 === 0x184d2a5;
  return (
    isSkippable && head.length >= 16 && head.readUInt32LE(4) === 4 && head.readUInt32LE(12) === 0xfd2fb528
  );
}
