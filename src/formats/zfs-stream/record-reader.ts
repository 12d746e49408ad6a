/**
 * Takes a stream apart into records and checks the checksum that runs through all of them
 * (spec/zfs-send-stream.md §1, §2). A record's payload is only proved by the header that follows: what is made of it
 * stays out of sight until the stream has ended well.
 */
import type {ByteReader} from '../byte-reader.ts';
import {isBegin} from './begin.ts';
import {headerBytes, parseHeader, type RecordHeader} from './record.ts';
import {invalidStream, truncatedStream} from './zfs-errors.ts';

/** Adds bytes to a fletcher-4 state of 32 bytes, which begins as zeros. */
export type Fletcher4 = (state: Buffer, bytes: Buffer) => void;

/** The payload is valid until the next record is asked for. */
export interface StreamRecord {
  header: RecordHeader;
  payload: Buffer;
}

export const checksumBytes = 32;
export const summedBytes = headerBytes - checksumBytes;
const endType = 5;
const noBytes = Buffer.alloc(0);
const zeroHeader = Buffer.alloc(headerBytes);

/** Between the streams of a compound one, and after the last byte that may come. */
type Place = 'start' | 'stream' | 'between' | 'end';

export class RecordReader {
  readonly #bytes: ByteReader;
  readonly #fletcher4: Fletcher4;
  readonly #onBytes: (bytes: Buffer) => void;
  readonly #state = Buffer.alloc(checksumBytes);
  #place: Place = 'start';
  #isCompound = false;

  /** `onBytes` gets the streams as they are, without the frame of a compound one: what begins with a BEGIN that can be read. */
  constructor(bytes: ByteReader, fletcher4: Fletcher4, onBytes: (bytes: Buffer) => void = () => undefined) {
    this.#bytes = bytes;
    this.#fletcher4 = fletcher4;
    this.#onBytes = onBytes;
  }

  /**
   * The records of one stream, or of all in a compound one, each from its BEGIN to its END; the frame of a compound
   * stream is checked and left out. Undefined once the source has ended where it must.
   */
  async next(): Promise<StreamRecord | undefined> {
    if (this.#place === 'stream') return await this.#nextInside();
    if (this.#place === 'start') return await this.#first();
    if (this.#place === 'between') {
      const bytes = await this.#readHeader();
      if (isBegin(bytes)) return await this.#begin(bytes);
      checkLastEnd(bytes);
      this.#place = 'end';
    }
    const rest = await this.#bytes.readSome(1);
    if (rest.length > 0) throw invalidStream('there is other data after its end');
    return undefined;
  }

  async #first(): Promise<StreamRecord> {
    const bytes = await this.#readHeader();
    if (!isBegin(bytes)) throw invalidStream('it does not begin with a begin record');
    const first = await this.#begin(bytes);
    if (first.header.type !== 'begin' || !first.header.isCompound) return first;
    this.#isCompound = true;
    this.#checkFrameEnd(await this.#readHeader());
    return await this.#begin(await this.#readHeader());
  }

  async #begin(bytes: Buffer): Promise<StreamRecord> {
    if (!isBegin(bytes)) throw invalidStream('a compound stream holds no stream');
    const {record: header, payloadLength} = parseHeader(bytes);
    if (header.type === 'begin' && header.isCompound && this.#isCompound)
      throw invalidStream('a compound stream is inside of another');
    this.#state.fill(0);
    this.#fletcher4(this.#state, bytes);
    const isFrame = header.type === 'begin' && header.isCompound;
    if (!isFrame) this.#onBytes(bytes);
    const payload = await this.#readPayload(payloadLength);
    if (!isFrame) this.#onBytes(payload);
    this.#place = 'stream';
    return {header, payload};
  }

  async #nextInside(): Promise<StreamRecord> {
    const bytes = await this.#readHeader();
    if (isBegin(bytes)) throw invalidStream('it begins again before its end');
    if (isEnd(bytes)) this.#compareSum(bytes, 8);
    this.#checkSum(bytes);
    const {record: header, payloadLength} = parseHeader(bytes);
    if (header.type === 'end') this.#place = this.#isCompound ? 'between' : 'end';
    this.#onBytes(bytes);
    const payload = await this.#readPayload(payloadLength);
    this.#onBytes(payload);
    return {header, payload};
  }

  async #readHeader(): Promise<Buffer> {
    const bytes = await this.#bytes.read(headerBytes);
    if (bytes.length < headerBytes) throw truncatedStream();
    return bytes;
  }

  async #readPayload(length: number): Promise<Buffer> {
    if (length === 0) return noBytes;
    // The checksum counts whole words only.
    if (length % 4 !== 0) throw invalidStream(`a record has a payload of ${length} bytes`);
    const payload = await this.#bytes.read(length);
    if (payload.length < length) throw truncatedStream();
    this.#fletcher4(this.#state, payload);
    return payload;
  }

  /** The END behind a compound BEGIN: it tells the sum of that, and has none of its own. */
  #checkFrameEnd(bytes: Buffer): void {
    if (!isEnd(bytes)) throw invalidStream('a compound stream has no end record after its header');
    this.#compareSum(bytes, 8);
    if (isEmpty(bytes, summedBytes) && isEmpty(bytes, 8 + checksumBytes) && bytes.readUInt32LE(4) === 0)
      return;
    this.#checkSum(bytes);
  }

  #checkSum(bytes: Buffer): void {
    this.#fletcher4(this.#state, bytes.subarray(0, summedBytes));
    this.#compareSum(bytes, summedBytes);
    this.#fletcher4(this.#state, bytes.subarray(summedBytes));
  }

  #compareSum(bytes: Buffer, at: number): void {
    if (this.#state.compare(bytes, at, at + checksumBytes) === 0) return;
    throw invalidStream(`the checksum does not match at or before byte ${this.#bytes.position}`);
  }
}

function isEnd(bytes: Buffer): boolean {
  return bytes.readUInt32LE(0) === endType;
}

function isEmpty(bytes: Buffer, from: number): boolean {
  return bytes.subarray(from).equals(zeroHeader.subarray(from));
}

/** The END of the frame is empty but for its type. */
function checkLastEnd(bytes: Buffer): void {
  if (isEnd(bytes) && isEmpty(bytes, 4)) return;
  throw invalidStream('a compound stream does not end with an end record');
}
