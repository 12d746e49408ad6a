/**
 * Looks at the whole image before anything of it is used: tables that overlap or lead in circles, data that lies on
 * tables, reference counts that are lower than the references there are.
 */
import {type Cluster, type ClusterMap, clusterAt} from './cluster-map.ts';
import type {Qcow2Header} from './header.ts';
import {invalidQcow2, tooLargeQcow2, truncatedQcow2} from './qcow2-errors.ts';
import type {RandomAccess} from './random-access.ts';

/** A byte each is held in memory: 4 TiB of file with the usual clusters of 64 KiB. */
const maxClusters = 64 * 1024 * 1024;
/** Counts stop here; it takes clusters of hundreds of compressed pieces to get so far. */
const maxCounted = 250;
const isTable = 255;

export function checkReferences(source: RandomAccess, header: Qcow2Header, map: ClusterMap): void {
  new ReferenceCheck(source, header).run(map);
}

class ReferenceCheck {
  readonly #source: RandomAccess;
  readonly #header: Qcow2Header;
  /** References to each cluster of the file, or `isTable`. */
  readonly #counts: Uint8Array;

  constructor(source: RandomAccess, header: Qcow2Header) {
    this.#source = source;
    this.#header = header;
    const clusters = Math.ceil(source.size / header.clusterSize);
    if (clusters > maxClusters) throw tooLargeQcow2(`its file has more than ${maxClusters} clusters`);
    this.#counts = new Uint8Array(clusters);
  }

  run(map: ClusterMap): void {
    const {l1Offset, l1Entries, refcountTableOffset, refcountTableBytes} = this.#header;
    this.#addTable(0, 1, 'its header');
    this.#addTable(refcountTableOffset, refcountTableBytes, 'its table of reference counts');
    this.#addTable(l1Offset, l1Entries * 8, 'its L1 table');
    const blocks = this.#refcountBlocks();
    for (const table of map.l2Tables()) {
      this.#addTable(table.offset, this.#header.clusterSize, `L2 table ${table.index}`);
      for (const {offset, cluster} of map.clusters(table)) this.#addCluster(cluster, clusterAt(offset));
    }
    this.#checkCounts(blocks);
  }

  #addTable(offset: number, length: number, what: string): void {
    const {clusterSize} = this.#header;
    for (let index = offset / clusterSize; index * clusterSize < offset + length; index++) {
      if (this.#counts[index] !== 0) throw invalidQcow2(`${what} lies where something else lies`);
      this.#counts[index] = isTable;
    }
  }

  #addCluster(cluster: Cluster, what: string): void {
    if (cluster.kind === 'absent' || (cluster.kind === 'mapped' && cluster.host === 0)) return;
    const {clusterSize} = this.#header;
    const bytes = cluster.kind === 'compressed' ? cluster.hostBytes : 1;
    const last = Math.floor((cluster.host + bytes - 1) / clusterSize);
    for (let index = Math.floor(cluster.host / clusterSize); index <= last; index++) {
      const count = this.#counts[index];
      // One with a place but without data may lie beyond the end of the file.
      if (count === undefined) return;
      if (count === isTable) throw invalidQcow2(`${what} lies where a table lies`);
      if (count < maxCounted) this.#counts[index] = count + 1;
    }
  }

  /** Offsets of the blocks of reference counts; 0 where all are 0. */
  #refcountBlocks(): number[] {
    const {refcountTableOffset, refcountTableBytes, clusterSize} = this.#header;
    const table = this.#source.read(refcountTableOffset, refcountTableBytes);
    const blocks: number[] = [];
    for (let offset = 0; offset + 8 <= table.length; offset += 8) {
      const block = Number(table.readBigUInt64BE(offset));
      const what = `block ${offset / 8} of reference counts`;
      if (block % clusterSize !== 0) throw invalidQcow2(`${what} does not begin with a cluster`);
      if (block + clusterSize > this.#source.size) throw truncatedQcow2(what);
      if (block !== 0) this.#addTable(block, clusterSize, what);
      blocks.push(block);
    }
    return blocks;
  }

  #checkCounts(blocks: readonly number[]): void {
    const {clusterSize, refcountBits} = this.#header;
    const perBlock = (clusterSize * 8) / refcountBits;
    for (let first = 0; first < this.#counts.length; first += perBlock) {
      const used = this.#counts.subarray(first, first + perBlock);
      if (used.every((count) => count === 0)) continue;
      const offset = blocks[first / perBlock] ?? 0;
      const block = offset === 0 ? Buffer.alloc(clusterSize) : this.#source.read(offset, clusterSize);
      for (const [index, count] of used.entries()) {
        const needed = count === isTable ? 1 : count;
        if (needed === 0 || countAt(block, index, refcountBits) >= needed) continue;
        throw invalidQcow2(
          `the cluster at ${(first + index) * clusterSize} of the file is used but its reference count says less`,
        );
      }
    }
  }
}

/** Counts of less than a byte are packed from the lowest bit on; larger ones are big-endian. */
function countAt(block: Buffer, index: number, bits: number): number {
  if (bits === 64) return Number(block.readBigUInt64BE(index * 8));
  if (bits >= 8) return block.readUIntBE((index * bits) / 8, bits / 8);
  const byte = block[Math.floor((index * bits) / 8)] ?? 0;
  return (byte >>> ((index * bits) % 8)) & (2 ** bits - 1);
}
