/** Where the clusters of the disk lie in the file: the L1 and L2 tables. Every offset is checked here. */
import type {Qcow2Header} from './header.ts';
import {invalidQcow2, truncatedQcow2} from './qcow2-errors.ts';
import type {RandomAccess} from './random-access.ts';

/** One cluster of the disk. */
export type Cluster =
  | {kind: 'absent'}
  | {kind: 'compressed'; host: number; hostBytes: number}
  | {
      kind: 'mapped';
      /** Where its bytes lie; 0 for one that has no place because it is all zeros. */
      host: number;
      /** Which of its 32 parts hold data, and which are zeros; both 0 in a part: absent. */
      data: number;
      zeros: number;
    };

export interface ClusterPlace {
  /** Position on the disk. */
  offset: number;
  cluster: Cluster;
}

export const partsPerCluster = 32;
const allParts = 0xffffffff;
const compressedFlag = 0x40000000;
/** Reserved bits of the upper words of entries. */
const l1ReservedHigh = 0x7f000000;
const l2ReservedHigh = 0x3f000000;
const offsetHigh = 0x00ffffff;
const offsetLow = 0xfffffe00;
const upper = 0x100000000;

export class ClusterMap {
  readonly #source: RandomAccess;
  readonly #header: Qcow2Header;
  readonly #entryBytes: number;

  constructor(source: RandomAccess, header: Qcow2Header) {
    this.#source = source;
    this.#header = header;
    this.#entryBytes = header.hasExtendedL2 ? 16 : 8;
  }

  /** Offsets of the L2 tables by their place in the L1 table; undefined where all is absent. */
  *l2Tables(): Generator<{index: number; offset: number}> {
    const {l1Offset, l1Entries, clusterSize} = this.#header;
    const table = this.#source.read(l1Offset, l1Entries * 8);
    if (table.length < l1Entries * 8) throw truncatedQcow2('its L1 table');
    for (let index = 0; index < l1Entries; index++) {
      const high = table.readUInt32BE(index * 8);
      const low = table.readUInt32BE(index * 8 + 4);
      if ((high & l1ReservedHigh) !== 0 || (low & ~offsetLow) !== 0) throw reservedBits(`L1 entry ${index}`);
      const offset = (high & offsetHigh) * upper + ((low & offsetLow) >>> 0);
      if (offset === 0) continue;
      this.#checkPlace(offset, clusterSize, `L2 table ${index}`);
      yield {index, offset};
    }
  }

  /** The clusters of one L2 table that lie on the disk, in order; absent ones are left out. */
  *clusters(table: {index: number; offset: number}): Generator<ClusterPlace> {
    const {clusterSize, virtualSize} = this.#header;
    const bytes = this.#source.read(table.offset, clusterSize);
    if (bytes.length < clusterSize) throw truncatedQcow2(`L2 table ${table.index}`);
    const count = clusterSize / this.#entryBytes;
    let offset = table.index * count * clusterSize;
    for (let entry = 0; entry < count && offset < virtualSize; entry++, offset += clusterSize) {
      const position = entry * this.#entryBytes;
      const cluster = this.#cluster(bytes, position, offset);
      if (cluster.kind !== 'absent') yield {offset, cluster};
    }
  }

  #cluster(bytes: Buffer, position: number, offset: number): Cluster {
    const high = bytes.readUInt32BE(position);
    const low = bytes.readUInt32BE(position + 4);
    const isExtended = this.#header.hasExtendedL2;
    const zeros = isExtended ? bytes.readUInt32BE(position + 8) : 0;
    const data = isExtended ? bytes.readUInt32BE(position + 12) : 0;
    if (high === 0 && low === 0 && zeros === 0 && data === 0) return {kind: 'absent'};
    if ((high & compressedFlag) !== 0) {
      if (zeros !== 0 || data !== 0) throw reservedBits(clusterAt(offset));
      return this.#compressed(bytes.readBigUInt64BE(position), offset);
    }
    const isZeroFlag = (low & 1) !== 0;
    const hasReserved = (high & l2ReservedHigh) !== 0 || (low & 0x1fe) !== 0;
    const mayBeZero = this.#header.version === 3 && !isExtended;
    if (hasReserved || (isZeroFlag && !mayBeZero)) throw reservedBits(clusterAt(offset));
    const host = (high & offsetHigh) * upper + ((low & offsetLow) >>> 0);
    if (host !== 0) this.#checkAlignment(host, clusterAt(offset));
    if (isExtended) return this.#subclusters(host, {data, zeros}, offset);
    if (host === 0 && !isZeroFlag) return {kind: 'absent'}; // only the flag for "copied" is set
    const cluster: Cluster = {
      kind: 'mapped',
      host,
      data: isZeroFlag ? 0 : allParts,
      zeros: isZeroFlag ? allParts : 0,
    };
    if (cluster.data !== 0) this.#checkData(host, this.#usedBytes(offset), clusterAt(offset));
    return cluster;
  }

  #subclusters(host: number, {data, zeros}: {data: number; zeros: number}, offset: number): Cluster {
    if ((data & zeros) !== 0)
      throw invalidQcow2(`${clusterAt(offset)} has parts that are data and zeros at once`);
    if (data !== 0 && host === 0) throw invalidQcow2(`${clusterAt(offset)} has data but no place`);
    if (data !== 0) {
      const part = this.#header.clusterSize / partsPerCluster;
      const end = (partsPerCluster - Math.clz32(data)) * part;
      this.#checkData(host, Math.min(end, this.#usedBytes(offset)), clusterAt(offset));
    }
    return {kind: 'mapped', host, data, zeros};
  }

  #compressed(entry: bigint, offset: number): Cluster {
    const {clusterBits} = this.#header;
    const offsetBits = BigInt(70 - clusterBits); // 62 - (clusterBits - 8)
    if (entry & (1n << 63n)) throw reservedBits(clusterAt(offset));
    const host = Number(entry & ((1n << offsetBits) - 1n));
    const sectors = Number((entry >> offsetBits) & ((1n << BigInt(clusterBits - 8)) - 1n));
    // Data ends with the file at the latest, because writers do not fill the last sector up.
    if (host >= this.#source.size) throw truncatedQcow2(clusterAt(offset));
    const hostBytes = Math.min((sectors + 1) * 512 - (host % 512), this.#source.size - host);
    return {kind: 'compressed', host, hostBytes};
  }

  /** Bytes of the cluster that lie on the disk, whose last cluster may be cut. */
  #usedBytes(offset: number): number {
    return Math.min(this.#header.clusterSize, this.#header.virtualSize - offset);
  }

  #checkPlace(host: number, length: number, what: string): void {
    this.#checkAlignment(host, what);
    this.#checkData(host, length, what);
  }

  #checkAlignment(host: number, what: string): void {
    if (host % this.#header.clusterSize !== 0) throw invalidQcow2(`${what} does not begin with a cluster`);
  }

  #checkData(host: number, length: number, what: string): void {
    if (host + length > this.#source.size) throw truncatedQcow2(what);
  }
}

export function clusterAt(offset: number): string {
  return `the cluster at ${offset}`;
}

function reservedBits(what: string) {
  return invalidQcow2(`${what} has bits set that must not be`);
}
