/**
 * Stores a ZFS send stream: a volume as a disk, a file system as a tree, an increment over a copy of its origin
 * (spec/zfs-send-stream.md). What later increments need is written beside.
 */
import {closeSync, constants, statSync} from 'node:fs';
import path from 'node:path';
import {ImgctlError} from '../../../errors.ts';
import type {ByteReader} from '../../../formats/byte-reader.ts';
import type {DecompressLimits} from '../../../formats/decompress.ts';
import type {Begin} from '../../../formats/zfs-stream/begin.ts';
import {Dataset, type DatasetLimits} from '../../../formats/zfs-stream/dataset.ts';
import {FileTree} from '../../../formats/zfs-stream/file-tree.ts';
import {RecordReader, type StreamRecord} from '../../../formats/zfs-stream/record-reader.ts';
import {volumeSize} from '../../../formats/zfs-stream/volume.ts';
import {otherOrigin} from '../../../formats/zfs-stream/zfs-errors.ts';
import {syncFileSystem} from '../../../sys/contents.ts';
import {fletcher4} from '../../../sys/fletcher4.ts';
import {stagedRaw, stagedSide} from '../../../sys/staging.ts';
import type {OriginPlace} from '../child-protocol.ts';
import {stateName, zfsSuffix} from '../image-forms.ts';
import {TreeWriter, type TreeWriterOptions} from '../tree-writer.ts';
import {ContentStore} from './content-store.ts';
import {readState, writeState} from './object-state.ts';
import {OriginTree, openOriginData} from './origin-tree.ts';
import {ScratchFile} from './scratch-file.ts';
import {VolumeFile} from './volume-file.ts';

/** A stream whose beginning was read: it can be stored as what it is, as far as the beginning tells. */
export class ZfsStream {
  readonly begin: Begin;
  readonly #reader: RecordReader;
  readonly #first: StreamRecord;

  static async open(bytes: ByteReader): Promise<ZfsStream> {
    const reader = new RecordReader(bytes, fletcher4);
    const first = await reader.next();
    if (first?.header.type !== 'begin') throw new Error('A stream begins with its begin record');
    return new ZfsStream(first.header, first, reader);
  }

  private constructor(begin: Begin, first: StreamRecord, reader: RecordReader) {
    this.begin = begin;
    this.#first = first;
    this.#reader = reader;
  }

  get isVolume(): boolean {
    return this.begin.kind === 'volume';
  }

  /** Applies everything; the stream has then been read to its end. */
  async applyTo(dataset: Dataset): Promise<void> {
    dataset.apply(this.#first);
    for (let record = await this.#reader.next(); record; record = await this.#reader.next())
      dataset.apply(record);
  }
}

/** Each takes some memory until the end. */
const mostObjects = 500_000;

export function datasetLimits({maxOutputBytes}: DecompressLimits, maxEntries: number): DatasetLimits {
  return {maxBytes: maxOutputBytes, maxObjects: Math.min(maxEntries, mostObjects)};
}

export interface StoreOptions {
  limits: DatasetLimits;
  /** Whether increments may be applied to it later. */
  keepsState: boolean;
  /** Where the snapshot is installed that an increment starts from. */
  origin: OriginPlace | undefined;
}

/** Stores the disk of a volume. Dispose it when done. */
export class VolumeStore implements Disposable {
  readonly #stream: ZfsStream;
  readonly #options: StoreOptions;
  readonly #contents: VolumeFile;
  readonly #scratch = new ScratchFile();
  readonly #dataset: Dataset;

  constructor(stream: ZfsStream, options: StoreOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#contents = new VolumeFile(options.limits.maxBytes);
    this.#dataset = new Dataset(this.#scratch, this.#contents, options.limits);
  }

  /** Writes the disk to an empty file; returns its size. */
  async store(fd: number): Promise<number> {
    const place = neededOrigin(this.#stream, this.#options.origin);
    if (place) {
      const {disk} = await readState(stateOf(place), this.#dataset, place.name);
      this.#contents.start(fd, {path: path.join(place.directory, `${place.name}.raw`), disk});
    } else {
      this.#contents.start(fd);
    }
    await this.#stream.applyTo(this.#dataset);
    const size = volumeSize(this.#dataset);
    this.#contents.finish(size);
    return size;
  }

  /** Call when the file is as it will stay. */
  async writeState(): Promise<void> {
    const {size, mtimeNs} = statSync(stagedRaw, {bigint: true});
    const disk = {size: Number(size), mtimeNs: String(mtimeNs)};
    await writeState(stagedSide(zfsSuffix), this.#dataset, {disk});
  }

  [Symbol.dispose](): void {
    this.#scratch[Symbol.dispose]();
  }
}

export interface TreeOptions extends StoreOptions {
  tree: TreeWriterOptions;
  /** Makes the top of the tree and opens it. */
  makeTree: () => number;
  onLifted: (name: string) => void;
}

/** Writes the tree of a file system; returns what could not be kept, a sentence each. */
export async function storeTree(stream: ZfsStream, options: TreeOptions): Promise<string[]> {
  using scratch = new ScratchFile();
  using contents = new ContentStore();
  const dataset = new Dataset(scratch, contents, options.limits);
  const tree = new FileTree(dataset, (object, size) => contents.read(object, size));
  const top = await openOrigin(stream, options.origin, {dataset, tree, contents});
  try {
    await stream.applyTo(dataset);
    return await writeTree({dataset, tree, contents}, options);
  } finally {
    if (top !== undefined) closeSync(top);
  }
}

interface FileSystem {
  dataset: Dataset;
  tree: FileTree;
  contents: ContentStore;
}

/** The open directory of the origin, with everything known of it; undefined where the stream is whole. */
async function openOrigin(
  stream: ZfsStream,
  origin: OriginPlace | undefined,
  {dataset, tree, contents}: FileSystem,
): Promise<number | undefined> {
  const place = neededOrigin(stream, origin);
  if (!place) return undefined;
  const {lifted} = await readState(stateOf(place), dataset, place.name);
  const flags = constants.O_RDONLY | constants.O_DIRECTORY;
  const top = openOriginData(path.join(place.directory, place.name), flags);
  const has = (object: number) => contents.has(object);
  const moved = lifted === undefined ? undefined : Buffer.from(lifted, 'hex');
  contents.useOrigin(new OriginTree({dataset, tree, top, lifted: moved, has}));
  return top;
}

async function writeTree({dataset, tree, contents}: FileSystem, options: TreeOptions): Promise<string[]> {
  const top = options.makeTree();
  const writer = new TreeWriter(top, options.tree);
  try {
    for (const entry of tree.entries()) {
      if (entry.hasAcl) writer.losses.add('nfs acl', String(entry.path));
      if (entry.hasForeignOwner) writer.losses.add('domain', String(entry.path));
      const place = (dir: number, name: Buffer) => contents.place(entry.object, entry.size, dir, name);
      await writer.add({...entry, hasForeignAcl: false, place});
    }
    await writer.settle();
    const lifted = await writer.finish();
    if (lifted !== undefined) options.onLifted(lifted.toString());
    const facts = lifted === undefined ? {} : {lifted: lifted.toString('hex')};
    if (options.keepsState) await writeState(stagedSide(zfsSuffix), dataset, facts, contents);
    syncFileSystem(top);
    return writer.losses.sentences();
  } finally {
    await writer.close();
    closeSync(top);
  }
}

function neededOrigin({begin}: ZfsStream, origin: OriginPlace | undefined): OriginPlace | undefined {
  if (begin.fromGuid === undefined) return undefined;
  if (origin) return origin;
  throw otherOrigin(begin.fromGuid, undefined);
}

function stateOf({directory, name}: OriginPlace): string {
  return path.join(directory, stateName(name));
}

/** Fails where a stream cannot be stored as what was asked for. */
export function checkKind({isVolume}: ZfsStream, format: 'tar' | 'raw' | 'directory' | 'auto'): void {
  if (format === 'auto' || (format === 'raw') === isVolume) return;
  const [is, isNot] = isVolume ? ['a volume', 'a tree of files'] : ['a file system', 'a disk'];
  throw new ImgctlError('InvalidArgument', `The ZFS stream holds ${is}, not ${isNot}`);
}
