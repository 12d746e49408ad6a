/**
 * Makes qcow2 images (version 3) that hold some clusters of a disk: what comes before the clusters, which follow in order.
 * The file can be written front to back. Clusters that are not in it are absent: who reads it decides what they are.
 */

export const clusterBits = 16;
export const clusterSize = 2 ** clusterBits;

/** What the image says of a cluster of the disk. */
export const clusterState = {absent: 0, data: 1, zeros: 2} as const;

const magic = 0x514649fb;
const headerBytes = 104;
const refcountOrder = 4;
const entriesPerTable = clusterSize / 8;
const countsPerBlock = clusterSize / 2;
/** The cluster has one user (qcow2.rst, "standard cluster descriptor"). */
const copiedFlag = 1n << 63n;
const zerosFlag = 1n;

interface Layout {
  refcountTable: number;
  refcountBlocks: number;
  l1: number;
  /** Index in the L1 table of each L2 table there is. */
  l2: number[];
  data: number;
}

/** Everything before the data clusters. `states` has an entry for each cluster of the disk. */
export function* qcow2Head(virtualSize: number, states: Uint8Array): Generator<Buffer> {
  const layout = layoutOf(states);
  const starts = startsOf(layout);
  yield headerOf(virtualSize, layout, starts);
  yield* tables(
    layout.refcountBlocks,
    (index) => BigInt(starts.refcountBlocks + index) * BigInt(clusterSize),
  );
  yield* refcountBlocks(layout, starts.end);
  const tableAt = new Map(layout.l2.map((index, place) => [index, place]));
  yield* tables(Math.ceil(states.length / entriesPerTable), (index) => {
    const place = tableAt.get(index);
    return place === undefined ? 0n : offsetOf(starts.l2 + place);
  });
  yield* l2Tables(layout.l2, states, starts.data);
}

function layoutOf(states: Uint8Array): Layout {
  const l2: number[] = [];
  let data = 0;
  for (let index = 0; index * entriesPerTable < states.length; index++) {
    const part = states.subarray(index * entriesPerTable, (index + 1) * entriesPerTable);
    if (part.some((state) => state !== clusterState.absent)) l2.push(index);
    data += part.reduce((sum, state) => sum + (state === clusterState.data ? 1 : 0), 0);
  }
  const l1 = Math.max(Math.ceil(Math.ceil(states.length / entriesPerTable) / entriesPerTable), 1);
  const others = 1 + l1 + l2.length + data;
  // Counts are of the blocks of counts too.
  let refcountBlocks = 1;
  let refcountTable = 1;
  while (refcountBlocks * countsPerBlock < others + refcountBlocks + refcountTable) {
    refcountBlocks++;
    refcountTable = Math.ceil(refcountBlocks / entriesPerTable);
  }
  return {refcountTable, refcountBlocks, l1, l2, data};
}

interface Starts {
  refcountBlocks: number;
  l1: number;
  l2: number;
  data: number;
  end: number;
}

/** In clusters. */
function startsOf(layout: Layout): Starts {
  const blocks = 1 + layout.refcountTable;
  const l1 = blocks + layout.refcountBlocks;
  const l2 = l1 + layout.l1;
  const data = l2 + layout.l2.length;
  return {refcountBlocks: blocks, l1, l2, data, end: data + layout.data};
}

function headerOf(virtualSize: number, layout: Layout, starts: Starts): Buffer {
  const bytes = Buffer.alloc(clusterSize);
  bytes.writeUInt32BE(magic, 0);
  bytes.writeUInt32BE(3, 4);
  bytes.writeUInt32BE(clusterBits, 20);
  bytes.writeBigUInt64BE(BigInt(virtualSize), 24);
  bytes.writeUInt32BE(Math.ceil(Math.ceil(virtualSize / clusterSize) / entriesPerTable), 36);
  bytes.writeBigUInt64BE(BigInt(starts.l1) * BigInt(clusterSize), 40);
  bytes.writeBigUInt64BE(BigInt(clusterSize), 48);
  bytes.writeUInt32BE(layout.refcountTable, 56);
  bytes.writeUInt32BE(refcountOrder, 96);
  bytes.writeUInt32BE(headerBytes, 100);
  return bytes;
}

/** One or more clusters of 64-bit entries. */
function* tables(count: number, entry: (index: number) => bigint): Generator<Buffer> {
  for (let first = 0; first === 0 || first < count; first += entriesPerTable) {
    const bytes = Buffer.alloc(clusterSize);
    for (let index = first; index < Math.min(count, first + entriesPerTable); index++) {
      bytes.writeBigUInt64BE(entry(index), (index - first) * 8);
    }
    yield bytes;
  }
}

/** Every cluster of the file is used once. */
function* refcountBlocks({refcountBlocks: count}: Layout, end: number): Generator<Buffer> {
  for (let block = 0; block < count; block++) {
    const bytes = Buffer.alloc(clusterSize);
    const used = Math.min(Math.max(end - block * countsPerBlock, 0), countsPerBlock);
    for (let index = 0; index < used; index++) bytes.writeUInt16BE(1, index * 2);
    yield bytes;
  }
}

function* l2Tables(indexes: readonly number[], states: Uint8Array, dataStart: number): Generator<Buffer> {
  let next = dataStart;
  for (const index of indexes) {
    const bytes = Buffer.alloc(clusterSize);
    const part = states.subarray(index * entriesPerTable, (index + 1) * entriesPerTable);
    for (const [entry, state] of part.entries()) {
      if (state === clusterState.zeros) bytes.writeBigUInt64BE(zerosFlag, entry * 8);
      if (state === clusterState.data) bytes.writeBigUInt64BE(offsetOf(next++), entry * 8);
    }
    yield bytes;
  }
}

function offsetOf(cluster: number): bigint {
  return copiedFlag | (BigInt(cluster) * BigInt(clusterSize));
}
