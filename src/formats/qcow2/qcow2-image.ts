/**
 * Reads disk images in QEMU's format qcow2 from bytes that can be read in any order. Nothing of the file is believed:
 * all of its tables are checked before the first byte comes out, and every failure has a name. Snapshots inside
 * are ignored.
 */
import type {DataRun} from '../sparse.ts';
import {checkReferences} from './check-references.ts';
import {ClusterMap, type ClusterPlace, clusterAt, partsPerCluster} from './cluster-map.ts';
import {decompressCluster, decompressClusterAside} from './decompress-cluster.ts';
import {type Qcow2Header, readQcow2Header} from './header.ts';
import {truncatedQcow2} from './qcow2-errors.ts';
import type {RandomAccess} from './random-access.ts';

const maxReadBytes = 1024 * 1024;
/** Keeps the four threads of the pool busy; at the largest cluster (2 MiB) and read it is 32 MiB. */
const clustersAhead = 8;

export interface Qcow2Limits {
  /** Of the disk inside. */
  maxVirtualBytes: number;
}

/** A part of the disk that is all zeros. */
export interface ZeroRun {
  offset: number;
  length: number;
  bytes?: undefined;
}

/** A part of the disk that lies in the file in one piece. */
interface Piece {
  offset: number;
  host: number;
  length: number;
}

export class Qcow2Image {
  readonly #source: RandomAccess;
  readonly #header: Qcow2Header;
  readonly #map: ClusterMap;

  /** Reads and checks all tables; fails with `InvalidArchive`, `NotSupported` or `LimitExceeded`. */
  constructor(source: RandomAccess, limits: Qcow2Limits) {
    this.#source = source;
    this.#header = readQcow2Header(source, limits.maxVirtualBytes);
    this.#map = new ClusterMap(source, this.#header);
    checkReferences(source, this.#header, this.#map);
  }

  get virtualSize(): number {
    return this.#header.virtualSize;
  }

  /** The parts of the disk that hold data, in order; everything between is zeros. */
  *runs(): Generator<DataRun> {
    for (const part of this.#parts()) yield 'cluster' in part ? this.#decompress(part) : part;
  }

  /** The same, with compressed clusters decompressed on the thread pool, a few at a time. */
  async *runsOnPool(): AsyncGenerator<DataRun> {
    const ahead: Promise<DataRun>[] = [];
    try {
      for (const part of this.#parts()) {
        // What is stored as it is costs nothing, but keeps its place.
        const run = 'cluster' in part ? this.#decompressAside(part) : Promise.resolve(part);
        run.catch(() => undefined); // it is awaited below
        ahead.push(run);
        if (ahead.length >= clustersAhead) yield await (ahead.shift() as Promise<DataRun>);
      }
      while (ahead.length > 0) yield await (ahead.shift() as Promise<DataRun>);
    } finally {
      await Promise.allSettled(ahead);
    }
  }

  *#parts(): Generator<DataRun | ClusterPlace> {
    let waiting: Piece | undefined;
    for (const place of this.#places()) {
      for (const next of this.#pieces(place)) {
        if (next === 'compressed') {
          if (waiting) yield* this.#read(waiting);
          waiting = undefined;
          yield place;
        } else if (waiting && isNext(waiting, next)) {
          waiting.length += next.length;
        } else {
          if (waiting) yield* this.#read(waiting);
          waiting = next;
        }
      }
    }
    if (waiting) yield* this.#read(waiting);
  }

  /** What the image says of the disk, in order: data, or zeros where it says so; between them it says nothing. */
  *changes(): Generator<DataRun | ZeroRun> {
    for (const place of this.#places()) {
      if (place.cluster.kind === 'compressed') {
        yield this.#decompress(place);
        continue;
      }
      yield* this.#zeroRuns(place);
      for (const piece of this.#pieces(place)) if (piece !== 'compressed') yield* this.#read(piece);
    }
  }

  *#zeroRuns({offset, cluster}: ClusterPlace): Generator<ZeroRun> {
    if (cluster.kind !== 'mapped') return;
    const {clusterSize, virtualSize} = this.#header;
    const partBytes = clusterSize / partsPerCluster;
    for (let part = 0; part < partsPerCluster; part++) {
      if (((cluster.zeros >>> part) & 1) === 0) continue;
      const first = part;
      while (part + 1 < partsPerCluster && ((cluster.zeros >>> (part + 1)) & 1) === 1) part++;
      const start = offset + first * partBytes;
      const length = Math.min(offset + (part + 1) * partBytes, virtualSize) - start;
      if (length > 0) yield {offset: start, length};
    }
  }

  *#places(): Generator<ClusterPlace> {
    for (const table of this.#map.l2Tables()) yield* this.#map.clusters(table);
  }

  *#pieces({offset, cluster}: ClusterPlace): Generator<Piece | 'compressed'> {
    if (cluster.kind === 'compressed') yield 'compressed';
    if (cluster.kind !== 'mapped') return;
    const {clusterSize, virtualSize} = this.#header;
    const partBytes = clusterSize / partsPerCluster;
    const hasData = (part: number) => ((cluster.data >>> part) & 1) === 1;
    for (let part = 0; part < partsPerCluster; part++) {
      if (!hasData(part)) continue;
      const first = part;
      while (part + 1 < partsPerCluster && hasData(part + 1)) part++;
      const start = first * partBytes;
      const length = Math.min((part + 1) * partBytes, virtualSize - offset) - start;
      if (length > 0) yield {offset: offset + start, host: cluster.host + start, length};
    }
  }

  *#read(piece: Piece): Generator<DataRun> {
    for (let done = 0; done < piece.length; ) {
      const bytes = this.#source.read(piece.host + done, Math.min(piece.length - done, maxReadBytes));
      if (bytes.length === 0) throw truncatedQcow2(clusterAt(piece.offset + done));
      yield {offset: piece.offset + done, bytes};
      done += bytes.length;
    }
  }

  #decompress(place: ClusterPlace): DataRun {
    const bytes = decompressCluster(this.#stored(place), this.#header, clusterAt(place.offset));
    return this.#withinDisk(place, bytes);
  }

  async #decompressAside(place: ClusterPlace): Promise<DataRun> {
    const bytes = await decompressClusterAside(this.#stored(place), this.#header, clusterAt(place.offset));
    return this.#withinDisk(place, bytes);
  }

  #stored({cluster}: ClusterPlace): Buffer {
    if (cluster.kind !== 'compressed') throw new Error('Not a compressed cluster');
    return this.#source.read(cluster.host, cluster.hostBytes);
  }

  #withinDisk({offset}: ClusterPlace, bytes: Buffer): DataRun {
    return {offset, bytes: bytes.subarray(0, this.#header.virtualSize - offset)};
  }
}

function isNext(piece: Piece, next: Piece): boolean {
  return piece.offset + piece.length === next.offset && piece.host + piece.length === next.host;
}
