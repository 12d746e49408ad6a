/**
 * Reads tar archives: v7, ustar, pax, star and GNU, sparse files in all their forms. Everything has a limit, and
 * nothing is decided about names: whoever turns entries into files must not trust `path` or `linkPath`.
 */
import {ImgctlError} from '../errors.ts';
import {ByteReader} from './byte-reader.ts';
import type {DataRun} from './sparse.ts';
import {blockSize, isTarHeader, parseTarHeader, type TarHeader} from './tar-header.ts';
import {PaxAttributes, type PaxRecord, parsePaxRecords} from './tar-pax.ts';
import {readOldGnuMap, readPaxMap, type SparseMap} from './tar-sparse.ts';

export type TarEntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';

export interface TarEntry {
  type: TarEntryType;
  /** As stored: bytes, possibly absolute or with `..`. */
  path: Buffer;
  linkPath: Buffer;
  /** The twelve permission bits. */
  mode: number;
  uid: number;
  gid: number;
  mtimeNs: bigint;
  /** Size of the file, holes included; 0 for other types. */
  size: number;
  major: number;
  minor: number;
  xattrs: Map<string, Buffer>;
  /** An access control list was left out, because it names users instead of numbers. */
  hasForeignAcl: boolean;
  /**
   * The contents, in order; what lies between runs is a hole. May be read once and only until the next entry
   * is asked for, which skips what was not read.
   */
  body(): AsyncGenerator<DataRun>;
  /**
   * The contents of a small file without holes in one piece, good until the next entry is asked for; undefined for
   * others. Instead of `body`, not besides it.
   */
  small(): Promise<Buffer | undefined>;
}

export interface TarLimits {
  /** Of one extended header, and of all global ones together. */
  maxHeaderBytes: number;
  maxPathBytes: number;
}

const defaultLimits: TarLimits = {maxHeaderBytes: 1024 * 1024, maxPathBytes: 4096};

const types: Record<string, TarEntryType> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file', // contiguous
  D: 'directory', // GNU incremental, with a list of names as body
  S: 'file', // GNU sparse
};

/** Nine of ten files of an operating system are smaller than this; a piece that lies in two chunks is copied together. */
const smallBytes = 128 * 1024;

/** Yields the entries of an archive; fails with `InvalidArchive` or `LimitExceeded`. */
export async function* readTar(
  source: AsyncIterable<Buffer>,
  limits: Partial<TarLimits> = {},
): AsyncGenerator<TarEntry> {
  const reader = new TarReader(new ByteReader(source), {...defaultLimits, ...limits});
  try {
    for (let entry = await reader.next(); entry; entry = await reader.next()) {
      yield entry;
      await reader.skipBody();
    }
  } finally {
    await reader.close();
  }
}

/** What extended headers before an entry said about it. */
interface Extensions {
  records: PaxRecord[];
  longName?: Buffer;
  longLink?: Buffer;
}

class TarReader {
  readonly #reader: ByteReader;
  readonly #limits: TarLimits;
  readonly #global = new Map<string, Buffer>();
  /** Bytes of the current body that are still in the archive, without padding. */
  #left = 0;
  #padding = 0;
  #entries = 0;

  constructor(reader: ByteReader, limits: TarLimits) {
    this.#reader = reader;
    this.#limits = limits;
  }

  async close(): Promise<void> {
    await this.#reader.close();
  }

  /** The next entry; undefined after the end mark, or where the archive ends without one. */
  async next(): Promise<TarEntry | undefined> {
    const extensions: Extensions = {records: []};
    for (;;) {
      const block = await this.#reader.read(blockSize);
      if (block.length === 0 && this.#entries > 0 && extensions.records.length === 0) return undefined;
      if (block.length < blockSize) throw this.#invalid('it ends too early');
      if (isZero(block) && this.#entries > 0) return await this.#checkEnd();
      if (!isTarHeader(block)) throw this.#invalid('a header has a wrong checksum');
      this.#entries++;
      const header = parseTarHeader(block);
      if (!(await this.#readExtension(header, extensions))) {
        return await this.#entry(header, block, extensions);
      }
    }
  }

  /** Reads a header that only says something about later ones; false if it is an entry. */
  async #readExtension(header: TarHeader, extensions: Extensions): Promise<boolean> {
    if (header.type === 'x' || header.type === 'X') {
      extensions.records.push(...parsePaxRecords(await this.#readMeta(header)));
    } else if (header.type === 'g') {
      for (const [key, value] of parsePaxRecords(await this.#readMeta(header))) this.#global.set(key, value);
      const bytes = [...this.#global].reduce((sum, [key, value]) => sum + key.length + value.length, 0);
      if (bytes > this.#limits.maxHeaderBytes) throw this.#tooLarge('its global headers');
    } else if (header.type === 'L') {
      extensions.longName = untilNul(await this.#readMeta(header));
    } else if (header.type === 'K') {
      extensions.longLink = untilNul(await this.#readMeta(header));
    } else if (header.type === 'V') {
      await this.#readMeta(header); // volume label
    } else {
      return false;
    }
    return true;
  }

  async #readMeta(header: TarHeader): Promise<Buffer> {
    if (header.size > this.#limits.maxHeaderBytes) throw this.#tooLarge('an extended header');
    const padded = header.size + paddingOf(header.size);
    const bytes = await this.#reader.read(padded);
    if (bytes.length < padded) throw this.#invalid('it ends too early');
    return Buffer.from(bytes.subarray(0, header.size));
  }

  async #entry(header: TarHeader, block: Buffer, extensions: Extensions): Promise<TarEntry> {
    if (header.type === 'M') throw this.#invalid('it is a later volume of a larger archive');
    const pax = new PaxAttributes(this.#global, extensions.records);
    const path = pax.bytes('GNU.sparse.name') ?? pax.bytes('path') ?? extensions.longName ?? header.name;
    const linkPath = pax.bytes('linkpath') ?? extensions.longLink ?? header.linkName;
    const type = this.#typeOf(header, path);
    if (Math.max(path.length, linkPath.length) > this.#limits.maxPathBytes) throw this.#tooLarge('a name');
    // Links and devices have no body, whatever old writers put into the size.
    const hasBody = type === 'file' || header.type === 'D';
    this.#left = hasBody ? (pax.number('size') ?? header.size) : 0;
    this.#padding = paddingOf(this.#left);
    const sparse = type === 'file' ? await this.#sparseMap(header, block, pax) : undefined;
    const isFile = type === 'file';
    return {
      type,
      path,
      linkPath,
      mode: header.mode,
      uid: this.#id(pax.number('uid') ?? header.uid),
      gid: this.#id(pax.number('gid') ?? header.gid),
      mtimeNs: pax.timeNs('mtime') ?? BigInt(header.mtime) * 1_000_000_000n,
      size: isFile ? (sparse?.realSize ?? this.#left) : 0,
      major: pax.number('SCHILY.devmajor') ?? header.major,
      minor: pax.number('SCHILY.devminor') ?? header.minor,
      xattrs: pax.xattrs(),
      hasForeignAcl: pax.hasForeignAcl(),
      body: () => (sparse ? this.#sparseBody(sparse) : this.#body(0, this.#left)),
      small: async () => (isFile && !sparse && this.#left <= smallBytes ? await this.#small() : undefined),
    };
  }

  #typeOf(header: TarHeader, path: Buffer): TarEntryType {
    const type = types[header.type] ?? 'file'; // POSIX: an unknown type is a file
    return type === 'file' && path.at(-1) === 0x2f ? 'directory' : type;
  }

  #id(value: number): number {
    if (value >= 0xffffffff) throw this.#invalid('an entry has an owner or group out of range');
    return value;
  }

  async #sparseMap(header: TarHeader, block: Buffer, pax: PaxAttributes): Promise<SparseMap | undefined> {
    // A copy, because reading on takes the block away.
    const map =
      header.type === 'S'
        ? await readOldGnuMap(Buffer.from(block), this.#reader)
        : await readPaxMap(pax, this.#reader);
    if (!map) return undefined;
    this.#left -= map.mapBytes;
    if (map.runs.reduce((sum, run) => sum + run.length, 0) !== this.#left) {
      throw this.#invalid('a sparse file does not have the size its map says');
    }
    return map;
  }

  async *#sparseBody(map: SparseMap): AsyncGenerator<DataRun> {
    for (const run of map.runs) yield* this.#body(run.offset, run.length);
  }

  async *#body(offset: number, length: number): AsyncGenerator<DataRun> {
    for (let done = 0; done < length; ) {
      const bytes = await this.#reader.readSome(Math.min(length - done, this.#left));
      if (bytes.length === 0) throw this.#invalid('it ends too early');
      this.#left -= bytes.length;
      yield {offset: offset + done, bytes};
      done += bytes.length;
    }
  }

  async #small(): Promise<Buffer> {
    const bytes = await this.#reader.read(this.#left);
    if (bytes.length < this.#left) throw this.#invalid('it ends too early');
    this.#left = 0;
    return bytes;
  }

  async skipBody(): Promise<void> {
    const length = this.#left + this.#padding;
    this.#left = 0;
    this.#padding = 0;
    if ((await this.#reader.skip(length)) < length) throw this.#invalid('it ends too early');
  }

  /** After one zero block only zeros may follow; writers differ in how many. */
  async #checkEnd(): Promise<undefined> {
    for await (const bytes of this.#reader.rest()) {
      if (!isZero(bytes)) throw this.#invalid('there is other data after its end');
    }
    return undefined;
  }

  #invalid(reason: string): ImgctlError {
    const message =
      this.#entries === 0
        ? 'The data is not a tar archive'
        : `The tar archive is not valid near byte ${this.#reader.position}: ${reason}`;
    return new ImgctlError('InvalidArchive', message, {
      hint: 'The file is damaged or incomplete; get it again',
      details: {format: 'tar', fault: this.#entries === 0 ? 'unrecognized' : 'damaged'},
    });
  }

  #tooLarge(what: string): ImgctlError {
    return new ImgctlError('LimitExceeded', `The tar archive is refused: ${what} is larger than allowed`);
  }
}

const zeroBlock = Buffer.alloc(64 * 1024);

function isZero(bytes: Buffer): boolean {
  for (let start = 0; start < bytes.length; start += zeroBlock.length) {
    const end = Math.min(start + zeroBlock.length, bytes.length);
    if (zeroBlock.compare(bytes, start, end, 0, end - start) !== 0) return false;
  }
  return true;
}

function untilNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}
