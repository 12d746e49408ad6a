/**
 * Reads disk images in QEMU's format qcow2 from bytes that can be read in any order. Nothing of the file is believed:
 * all of its tables are checked before the first byte comes out, and every failure has a name. Snapshots inside
 * are ignored.
 */
import type {ImgctlError} from '../../errors.ts';
import type {DataRun} from '../sparse.ts';
import {checkReferences} from './check-references.ts';
import {ClusterMap, type ClusterPlace, clusterAt, partsPerCluster} from './cluster-map.ts';
import {decompressCluster} from './decompress-cluster.ts';
import {type Qcow2Header, readQcow2Header} from './header.ts';
import {invalidQcow2, truncatedQcow2} from './qcow2-errors.ts';
import type {RandomAccess} from './random-access.ts';

export const maxPieceBytes = 1024 * 1024;

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

/** The same, or a compressed cluster, the beginning of so many bytes there; 0: as it is. */
export interface DiskPart extends Piece {
  packed: number;
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

  get encoding(): Pick<Qcow2Header, 'compression' | 'clusterSize'> {
    return this.#header;
  }

  /** The parts of the disk that hold data, in order; everything between is zeros. */
  *runs(): Generator<DataRun> {
    for (const part of this.parts()) yield* this.#read(part);
  }

  /** Where they lie. What is not compressed comes in pieces of 1 MiB at most. */
  *parts(): Generator<DiskPart> {
    let waiting: Piece | undefined;
    for (const place of this.#places()) {
      for (const next of this.#pieces(place)) {
        if (waiting && next.packed === 0 && isNext(waiting, next)) {
          waiting.length += next.length;
          continue;
        }
        if (waiting) yield* split(waiting);
        waiting = next.packed === 0 ? next : undefined;
        if (!waiting) yield next;
      }
    }
    if (waiting) yield* split(waiting);
  }

  /** What the image says of the disk, in order: data, or zeros where it says so; between them it says nothing. */
  *changes(): Generator<DataRun | ZeroRun> {
    for (const place of this.#places()) {
      yield* this.#zeroRuns(place);
      for (const piece of this.#pieces(place)) for (const part of split(piece)) yield* this.#read(part);
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

  *#pieces({offset, cluster}: ClusterPlace): Generator<DiskPart> {
    const {clusterSize, virtualSize} = this.#header;
    if (cluster.kind === 'compressed') {
      const {host, hostBytes} = cluster;
      yield {offset, host, length: Math.min(clusterSize, virtualSize - offset), packed: hostBytes};
    }
    if (cluster.kind !== 'mapped') return;
    const partBytes = clusterSize / partsPerCluster;
    const hasData = (part: number) => ((cluster.data >>> part) & 1) === 1;
    for (let part = 0; part < partsPerCluster; part++) {
      if (!hasData(part)) continue;
      const first = part;
      while (part + 1 < partsPerCluster && hasData(part + 1)) part++;
      const start = first * partBytes;
      const length = Math.min((part + 1) * partBytes, virtualSize - offset) - start;
      if (length > 0) yield {offset: offset + start, host: cluster.host + start, length, packed: 0};
    }
  }

  *#read({offset, host, length, packed}: DiskPart): Generator<DataRun> {
    if (packed > 0) {
      const bytes = decompressCluster(this.#source.read(host, packed), this.#header, clusterAt(offset));
      yield {offset, bytes: bytes.subarray(0, length)};
      return;
    }
    for (let done = 0; done < length; ) {
      const bytes = this.#source.read(host + done, length - done);
      if (bytes.length === 0) throw truncatedQcow2(clusterAt(offset + done));
      yield {offset: offset + done, bytes};
      done += bytes.length;
    }
  }
}

function isNext(piece: Piece, next: Piece): boolean {
  return piece.offset + piece.length === next.offset && piece.host + piece.length === next.host;
}

function* split({offset, host, length, packed = 0}: Piece & {packed?: number}): Generator<DiskPart> {
  const pieceBytes = packed > 0 ? length : maxPieceBytes;
  for (let done = 0; done < length; done += pieceBytes)
    yield {offset: offset + done, host: host + done, length: Math.min(length - done, pieceBytes), packed};
}

/** For who reads the parts without this class. */
export function partFailure({offset}: DiskPart, fault: 'truncated' | 'damaged'): ImgctlError {
  const what = clusterAt(offset);
  return fault === 'truncated' ? truncatedQcow2(what) : invalidQcow2(`${what} cannot be decompressed`);
}
