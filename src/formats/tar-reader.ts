/**
 * Reads tar archives: v7, ustar, pax, star and GNU, sparse files in all their forms. Everything has a limit, and
 * nothing is decided about names: whoever turns entries into files must not trust `path` or `linkPath`.
 */
import {ImgctlError} from '../errors.ts';
import {ByteReader} from './byte-reader.ts';
import type {DataRun} from './sparse.ts';
import type {PlainBody, TarEntry, TarEntryType} from './tar-entry.ts';
import {blockSize, isTarHeader, isZero, paddingOf, parseTarHeader, type TarHeader} from './tar-header.ts';
import {PaxAttributes, type PaxRecord, parsePaxRecords} from './tar-pax.ts';
import {readOldGnuMap, readPaxMap, type SparseMap} from './tar-sparse.ts';

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

/** The entries of an archive; fails with `InvalidArchive` or `LimitExceeded`. */
export function readTar(source: AsyncIterable<Buffer>, limits: Partial<TarLimits> = {}): TarReader {
  return new TarReader(new ByteReader(source), {...defaultLimits, ...limits});
}

/** Files, directories and links: their headers say all about them. */
const readyTypes = ['0', '\0', '1', '2', '5'];
const none: PaxRecord[] = [];

/** What extended headers before an entry said about it. */
interface Extensions {
  records: PaxRecord[];
  longName?: Buffer;
  longLink?: Buffer;
}

/** One loop at a time. Whoever leaves it closes the source. */
export class TarReader {
  readonly #reader: ByteReader;
  readonly #limits: TarLimits;
  readonly #global = new Map<string, Buffer>();
  /** Bytes of the current body that are still in the archive, without padding. */
  #left = 0;
  #padding = 0;
  #entries = 0;
  /** Of whichever entry is the last. */
  readonly #plain: PlainBody = {
    takeReady: () => {
      const bytes = this.#reader.readyBytes.subarray(0, this.#left);
      this.#reader.drop(bytes.length);
      this.#left -= bytes.length;
      return bytes;
    },
    more: async () => {
      if ((await this.#reader.peekSome()).length === 0) throw this.#invalid('it ends too early');
    },
  };

  constructor(reader: ByteReader, limits: TarLimits) {
    this.#reader = reader;
    this.#limits = limits;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TarEntry> {
    try {
      for (;;) {
        const entry = this.nextReady() ?? (await this.next());
        if (!entry) return;
        yield entry;
      }
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    await this.#reader.close();
  }

  /**
   * Lets somebody who reads headers himself take entries that are ready, as a whole each; returns how many bytes he took. He has
   * to leave what says something about other entries, and all that he does not understand.
   */
  giveReady(take: (bytes: Buffer, from: number) => {count: number; end: number}): number {
    const skipped = this.#left + this.#padding;
    if (this.#global.size > 0 || this.#reader.ready < skipped + blockSize) return 0;
    const {count, end} = take(this.#reader.readyBytes, skipped);
    if (count === 0) return 0;
    this.#reader.drop(end);
    this.#left = 0;
    this.#padding = 0;
    this.#entries += count;
    return end - skipped;
  }

  /**
   * The next entry, if its headers have come already and are of the kinds that most have; otherwise `next` has to be asked,
   * which waits. An operating system has so many small files that a promise or two for each are a tenth of the time.
   */
  nextReady(): TarEntry | undefined {
    const reader = this.#reader;
    const skipped = this.#left + this.#padding;
    if (reader.ready < skipped + blockSize || this.#global.size > 0) return undefined;
    const bytes = reader.readyBytes;
    if (!isTarHeader(bytes, skipped)) return undefined;
    let header = parseTarHeader(bytes, skipped);
    let end = skipped + blockSize;
    let records: PaxRecord[] = none;
    if (header.type === 'x') {
      const start = end;
      end += header.size + paddingOf(header.size) + blockSize;
      if (header.size > this.#limits.maxHeaderBytes || reader.ready < end) return undefined;
      if (!isTarHeader(bytes, end - blockSize)) return undefined;
      records = parsePaxRecords(bytes.subarray(start, start + header.size));
      header = parseTarHeader(bytes, end - blockSize);
    }
    if (!readyTypes.includes(header.type) || records.some(([key]) => key.startsWith('GNU.')))
      return undefined;
    reader.drop(end);
    this.#padding = 0;
    this.#entries++;
    return this.#entry(header, {records}, new PaxAttributes(this.#global, records));
  }

  /** The next entry; undefined after the end mark, or where the archive ends without one. */
  async next(): Promise<TarEntry | undefined> {
    await this.#skipBody();
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
        return await this.#waitedEntry(header, block, extensions);
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

  async #waitedEntry(header: TarHeader, block: Buffer, extensions: Extensions): Promise<TarEntry> {
    // A copy, because reading on takes the block away.
    const kept = header.type === 'S' ? Buffer.from(block) : undefined;
    const pax = new PaxAttributes(this.#global, extensions.records);
    const entry = this.#entry(header, extensions, pax);
    const sparse = entry.type === 'file' ? await this.#sparseMap(kept, pax) : undefined;
    if (!sparse) return entry;
    const {plain: _notInOnePiece, ...rest} = entry;
    return {...rest, size: sparse.realSize, body: () => this.#sparseBody(sparse)};
  }

  /** Of a file as if it had no holes. */
  #entry(header: TarHeader, extensions: Extensions, pax: PaxAttributes): TarEntry {
    if (header.type === 'M') throw this.#invalid('it is a later volume of a larger archive');
    const path = pax.bytes('GNU.sparse.name') ?? pax.bytes('path') ?? extensions.longName ?? header.name;
    const linkPath = pax.bytes('linkpath') ?? extensions.longLink ?? header.linkName;
    const type = this.#typeOf(header, path);
    if (Math.max(path.length, linkPath.length) > this.#limits.maxPathBytes) throw this.#tooLarge('a name');
    // Links and devices have no body, whatever old writers put into the size.
    const hasBody = type === 'file' || header.type === 'D';
    this.#left = hasBody ? (pax.number('size') ?? header.size) : 0;
    this.#padding = paddingOf(this.#left);
    const size = type === 'file' ? this.#left : 0;
    const entry: TarEntry = {
      type,
      path,
      linkPath,
      mode: header.mode,
      uid: this.#id(pax.number('uid') ?? header.uid),
      gid: this.#id(pax.number('gid') ?? header.gid),
      mtimeNs: pax.timeNs('mtime') ?? BigInt(header.mtime) * 1_000_000_000n,
      size,
      major: pax.number('SCHILY.devmajor') ?? header.major,
      minor: pax.number('SCHILY.devminor') ?? header.minor,
      xattrs: pax.xattrs(),
      hasForeignAcl: pax.hasForeignAcl(),
      body: () => this.#body(0, this.#left),
    };
    if (type === 'file') entry.plain = this.#plain;
    return entry;
  }

  #typeOf(header: TarHeader, path: Buffer): TarEntryType {
    const type = types[header.type] ?? 'file'; // POSIX: an unknown type is a file
    return type === 'file' && path.at(-1) === 0x2f ? 'directory' : type;
  }

  #id(value: number): number {
    if (value >= 0xffffffff) throw this.#invalid('an entry has an owner or group out of range');
    return value;
  }

  /** `oldHeader` is that of an entry in the old form of GNU. */
  async #sparseMap(oldHeader: Buffer | undefined, pax: PaxAttributes): Promise<SparseMap | undefined> {
    const map = oldHeader
      ? await readOldGnuMap(oldHeader, this.#reader)
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

  async #skipBody(): Promise<void> {
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

function untilNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}
