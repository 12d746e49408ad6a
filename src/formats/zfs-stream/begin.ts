/** The first record of a stream: what is inside, and everything that is refused by name before a byte is used. */
import {invalidStream, unsupportedStream} from './zfs-errors.ts';

export interface Begin {
  type: 'begin';
  /** A frame around streams; it has no contents of its own. */
  isCompound: boolean;
  kind: 'file system' | 'volume' | undefined;
  /** Records say whether an object has a spill block (section 4). */
  hasSpillFlags: boolean;
  /** Of this snapshot and of the one it starts from, in decimal. */
  guid: string;
  fromGuid: string | undefined;
  name: string;
}

const magic = 0x2f5bacbacn;
const kinds = new Map<number, Begin['kind']>([
  [2, 'file system'],
  [3, 'volume'],
]);
const spillFlags = 8;

const resend = 'Send it again without this: plain "zfs send DATASET@SNAPSHOT"';
const refusedFeatures: readonly [bit: number, what: string, hint: string][] = [
  [24, 'is encrypted (zfs send --raw)', 'Send it again without "--raw", with the key loaded'],
  [20, 'is the rest of a resumed one (zfs send -t)', resend],
  [21, 'is redacted', resend],
  [0, 'is deduplicated (zfs send -D)', resend],
  [28, 'has names of more than 255 bytes', 'Linux cannot store them'],
];
/** Spill, embedded, lz4, large blocks, compressed, large dnodes, zstd, holds, switch to large blocks, large ZAPs. */
const knownFeatures = new Set([
  1,
  2,
  16,
  17,
  19,
  22,
  23,
  25,
  26,
  27,
  29,
  ...refusedFeatures.map(([bit]) => bit),
]);

/** Reads a BEGIN header; fails with `NotSupported` for streams that need more than this reader has. */
export function parseBegin(header: Buffer): Begin {
  if (header.readBigUInt64BE(8) === magic) {
    throw unsupportedStream('was made on a big-endian machine', 'Send it again from a little-endian one');
  }
  if (header.readBigUInt64LE(8) !== magic) throw invalidStream('a begin record has no magic');
  const version = header.readBigUInt64LE(16);
  const headerType = Number(version & 3n);
  if (headerType !== 1 && headerType !== 2) throw invalidStream(`its header type is ${headerType}`);
  checkFeatures(version >> 2n);
  const isCompound = headerType === 2;
  const kind = kinds.get(header.readUInt32LE(32));
  if (!isCompound && !kind) {
    throw unsupportedStream(`holds neither a file system nor a volume`, resend);
  }
  const fromGuid = header.readBigUInt64LE(48);
  return {
    type: 'begin',
    isCompound,
    kind,
    hasSpillFlags: (header.readUInt32LE(36) & spillFlags) !== 0,
    guid: String(header.readBigUInt64LE(40)),
    fromGuid: fromGuid === 0n ? undefined : String(fromGuid),
    name: textUntilNul(header.subarray(56, 312)),
  };
}

/** What the BEGIN's payload length says. */
export function payloadLengthOf(header: Buffer): number {
  return header.readUInt32LE(4);
}

/** The byte order is looked at first, because everything else is read in it. */
export function isBegin(header: Buffer): boolean {
  const isSwapped = header.readUInt32BE(0) === 0 && header.readBigUInt64BE(8) === magic;
  return isSwapped || header.readUInt32LE(0) === 0;
}

function checkFeatures(features: bigint): void {
  const has = (bit: number) => ((features >> BigInt(bit)) & 1n) === 1n;
  for (const [bit, what, hint] of refusedFeatures) if (has(bit)) throw unsupportedStream(what, hint);
  for (let bit = 0; bit < 62; bit++) {
    if (has(bit) && !knownFeatures.has(bit)) {
      throw unsupportedStream(`uses feature ${bit}, which is not known`, resend);
    }
  }
}

function textUntilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}
