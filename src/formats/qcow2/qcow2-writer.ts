/**
 * Makes disk images in QEMU's format qcow2, version 3, with 64 KiB clusters: tables and data in the order in which
 * data comes, then the first table, the counts of references, and at last the header, so that half an image is none.
 */

export const clusterBytes = 65_536;

type Write = (offset: number, bytes: Buffer) => void;

/** QEMU knows disks of whole sectors only. */
const sectorBytes = 512;
const entryBytes = 8;
const entriesPerTable = clusterBytes / entryBytes;
const countsPerCluster = clusterBytes / 2;
const headerBytes = 104;
/** The cluster is referred to once. */
const copied = 1n << 63n;

export class Qcow2Writer {
  readonly #size: number;
  readonly #write: Write;
  readonly #first: Buffer;
  /** The table of the part that is written now. */
  readonly #second = Buffer.alloc(clusterBytes);
  #secondIndex = -1;
  /** The header is in the first. */
  #clusters = 1;

  /** `write` gets every part of the file once, not in order. */
  constructor(sizeBytes: number, write: Write) {
    this.#size = Math.ceil(sizeBytes / sectorBytes) * sectorBytes;
    this.#write = write;
    const bytes = tablesOf(sizeBytes) * entryBytes;
    this.#first = Buffer.alloc(Math.ceil(bytes / clusterBytes) * clusterBytes);
  }

  /** Data of a whole cluster (only the last of the disk may be short), by rising offset; what is left out is zeros. */
  add(offset: number, bytes: Buffer): void {
    const index = offset / clusterBytes;
    const table = Math.floor(index / entriesPerTable);
    if (table !== this.#secondIndex) this.#startTable(table);
    const host = this.#allocate();
    this.#second.writeBigUInt64BE(BigInt(host) | copied, (index % entriesPerTable) * entryBytes);
    this.#write(host, padded(bytes));
  }

  finish(): void {
    this.#endTable();
    const first = this.#allocate(this.#first.length / clusterBytes);
    this.#write(first, this.#first);
    this.#writeHeader(first, this.#writeCounts());
  }

  #startTable(table: number): void {
    this.#endTable();
    this.#second.fill(0);
    this.#secondIndex = table;
  }

  #endTable(): void {
    if (this.#secondIndex < 0) return;
    const host = this.#allocate();
    this.#write(host, Buffer.from(this.#second));
    this.#first.writeBigUInt64BE(BigInt(host) | copied, this.#secondIndex * entryBytes);
  }

  #allocate(count = 1): number {
    const host = this.#clusters * clusterBytes;
    this.#clusters += count;
    return host;
  }

  /** Counts what there is, the counts themselves too; every cluster is referred to once. */
  #writeCounts(): {offset: number; clusters: number} {
    let blocks = 0;
    let tables = 0;
    for (let needed = 1; needed > blocks; ) {
      blocks = needed;
      tables = Math.ceil((blocks * entryBytes) / clusterBytes);
      needed = Math.ceil((this.#clusters + blocks + tables) / countsPerCluster);
    }
    const firstBlock = this.#allocate(blocks);
    const table = this.#allocate(tables);
    const entries = Buffer.alloc(tables * clusterBytes);
    for (let block = 0; block < blocks; block++) {
      const host = firstBlock + block * clusterBytes;
      entries.writeBigUInt64BE(BigInt(host), block * entryBytes);
      const used = Math.min(countsPerCluster, this.#clusters - block * countsPerCluster);
      const counts = Buffer.alloc(clusterBytes);
      for (let count = 0; count < used; count++) counts.writeUInt16BE(1, count * 2);
      this.#write(host, counts);
    }
    this.#write(table, entries);
    return {offset: table, clusters: tables};
  }

  #writeHeader(first: number, counts: {offset: number; clusters: number}): void {
    const header = Buffer.alloc(clusterBytes);
    header.write('QFI\xfb', 'latin1');
    header.writeUInt32BE(3, 4);
    header.writeUInt32BE(16, 20); // bits of a cluster
    header.writeBigUInt64BE(BigInt(this.#size), 24);
    header.writeUInt32BE(tablesOf(this.#size), 36);
    header.writeBigUInt64BE(BigInt(first), 40);
    header.writeBigUInt64BE(BigInt(counts.offset), 48);
    header.writeUInt32BE(counts.clusters, 56);
    header.writeUInt32BE(4, 96); // counts of 16 bits
    header.writeUInt32BE(headerBytes, 100);
    this.#write(0, header);
  }
}

/** An empty disk has one too, because a cluster that nothing refers to counts as lost. */
function tablesOf(sizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / (entriesPerTable * clusterBytes)));
}

function padded(bytes: Buffer): Buffer {
  return bytes.length === clusterBytes ? bytes : Buffer.concat([bytes], clusterBytes);
}
