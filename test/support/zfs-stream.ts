/** ZFS streams in memory, and the ground truth of the recorded ones. */
import {createHash} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {gunzipSync} from 'node:zlib';
import {expect} from 'vitest';
import {ImgctlError} from '../../src/errors.ts';
import {ByteReader} from '../../src/formats/byte-reader.ts';
import {Dataset, type DatasetLimits} from '../../src/formats/zfs-stream/dataset.ts';
import {type FileEntry, FileTree} from '../../src/formats/zfs-stream/file-tree.ts';
import {RecordReader} from '../../src/formats/zfs-stream/record-reader.ts';
import {volumeObject, volumeSize} from '../../src/formats/zfs-stream/volume.ts';
import type {ContentSink, Scratch} from '../../src/formats/zfs-stream/zfs-object.ts';
import {fletcher4} from '../../src/sys/fletcher4.ts';
import {fixturePath} from '../fixtures-dir.ts';

export function recordedStream(name: string): Buffer {
  return gunzipSync(readFileSync(fixturePath('fixtures', 'zfs', `${name}.zfs.gz`)));
}

const limits = {maxBytes: 1 << 30, maxObjects: 200_000};

export class MemoryScratch implements Scratch {
  readonly #chunks = new Map<number, Buffer>();
  #end = 0;

  append(bytes: Buffer): number {
    const at = this.#end;
    this.#chunks.set(at, Buffer.from(bytes));
    this.#end += bytes.length + 1;
    return at;
  }

  read(at: number, length: number): Buffer {
    return this.#chunks.get(at)?.subarray(0, length) ?? Buffer.alloc(0);
  }
}

export class MemoryContents implements ContentSink {
  readonly files = new Map<number, Buffer>();

  write(object: number, offset: number, bytes: Buffer): void {
    const old = this.files.get(object) ?? Buffer.alloc(0);
    const end = offset + bytes.length;
    if (end > 1 << 26)
      throw new ImgctlError('LimitExceeded', `A file of ${end} bytes is too large for memory`);
    const file =
      end > old.length ? Buffer.concat([old], Math.max(end, Math.min(old.length * 2, 1 << 26))) : old;
    bytes.copy(file, offset);
    this.files.set(object, file);
  }

  free(object: number, offset: number, length: number): void {
    const file = this.files.get(object);
    if (file && offset < file.length) file.fill(0, offset, Math.min(file.length, offset + length));
  }

  drop(object: number): void {
    this.files.delete(object);
  }

  read(object: number, size: number): Buffer {
    if (size > 1 << 27) throw new ImgctlError('LimitExceeded', `${size} bytes are too many for memory`);
    const file = this.files.get(object) ?? Buffer.alloc(0);
    return file.length >= size ? file.subarray(0, size) : Buffer.concat([file], size);
  }
}

export interface Decoded {
  dataset: Dataset;
  contents: MemoryContents;
}

async function* chunked(stream: Buffer, chunkBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < stream.length; at += chunkBytes) yield stream.subarray(at, at + chunkBytes);
}

/** Applies streams one over the other. */
export async function decodeStreams(
  streams: readonly Buffer[],
  options: {chunkBytes?: number; limits?: Partial<DatasetLimits>} = {},
): Promise<Decoded> {
  const {chunkBytes = 65_536} = options;
  const contents = new MemoryContents();
  const dataset = new Dataset(new MemoryScratch(), contents, {...limits, ...options.limits});
  for (const stream of streams) {
    const reader = new RecordReader(new ByteReader(chunked(stream, chunkBytes)), fletcher4);
    for (let record = await reader.next(); record; record = await reader.next()) dataset.apply(record);
  }
  return {dataset, contents};
}

export function decodedVolume({dataset, contents}: Decoded): Buffer {
  return contents.read(volumeObject, volumeSize(dataset));
}

export function decodedEntries({dataset, contents}: Decoded): FileEntry[] {
  return [...new FileTree(dataset, (object, size) => contents.read(object, size)).entries()];
}

/** One file as `NAME.tree.jsonl` has it. */
export interface TreeLine {
  path?: string;
  path_hex?: string;
  type: string;
  [field: string]: unknown;
}

export function recordedTree(name: string): TreeLine[] {
  const text = readFileSync(fixturePath('fixtures', 'zfs', `${name}.tree.jsonl`), 'utf8');
  return sortedTree(
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as TreeLine),
  );
}

export function recordedVolume(name: string): {size: number; sha256: string} {
  return JSON.parse(readFileSync(fixturePath('fixtures', 'zfs', `${name}.vol.json`), 'utf8')) as never;
}

export function sortedTree(lines: TreeLine[]): TreeLine[] {
  const key = (line: TreeLine) => line.path ?? `hex:${line.path_hex}`;
  return lines.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The lines that a decoded file system has to have. */
export function treeLines(decoded: Decoded): TreeLine[] {
  const entries = decodedEntries(decoded);
  const names = Map.groupBy(entries, ({object}) => object);
  return sortedTree(entries.map((entry) => lineOf(entry, names.get(entry.object) ?? [], decoded.contents)));
}

const typeNames: Record<string, string> = {directory: 'dir'};

/** A later name of a file is told with all of the file, and the first name. */
function lineOf(named: FileEntry, names: readonly FileEntry[], contents: MemoryContents): TreeLine {
  const entry = named.type === 'hardlink' ? (names[0] ?? named) : named;
  const {type, object, size, mtimeNs, major, minor} = entry;
  const line: TreeLine = {...pathFields(named.path), type: typeNames[type] ?? type};
  if (named !== entry) line.link_to = text(named.linkPath);
  line.mode = `0${entry.mode.toString(8)}`.padStart(4, '0').replace(/^0(?=....)/, '');
  Object.assign(line, {uid: entry.uid, gid: entry.gid});
  if (type !== 'directory') line.nlink = names.length;
  const seconds = mtimeNs / 1_000_000_000n - (mtimeNs % 1_000_000_000n < 0n ? 1n : 0n);
  line.mtime = [Number(seconds), Number(mtimeNs - seconds * 1_000_000_000n)];
  if (type === 'file') line.size = size;
  if (type === 'file' && named === entry) line.sha256 = sha256(contents.read(object, size));
  if (type === 'symlink') line.target = text(entry.linkPath);
  if (type === 'char' || type === 'block') line.rdev = [major, minor];
  if (entry.xattrs.size > 0) line.xattrs = base64(entry.xattrs);
  return line;
}

function base64(xattrs: ReadonlyMap<string, Buffer>): Record<string, string> {
  return Object.fromEntries([...xattrs].sort().map(([name, value]) => [name, value.toString('base64')]));
}

function pathFields(path: Buffer): {path: string} | {path_hex: string} {
  if (path.length === 0) return {path: '.'};
  return path.equals(Buffer.from(path.toString()))
    ? {path: path.toString()}
    : {path_hex: path.toString('hex')};
}

function text(path: Buffer): string {
  return path.equals(Buffer.from(path.toString())) ? path.toString() : path.toString('latin1');
}

/** Fails with the lines that differ, and only those. */
export function expectSameLines(actual: TreeLine[], expected: TreeLine[]): void {
  expect(actual.length).toBe(expected.length);
  const differing = (lines: TreeLine[], others: TreeLine[]) =>
    lines.filter((line, index) => sortedText(line) !== sortedText(others[index])).slice(0, 5);
  expect(differing(actual, expected)).toEqual(differing(expected, actual));
}

/** The order of fields does not count. */
function sortedText(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
