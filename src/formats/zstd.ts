/**
 * zstd on node:zlib. Its decoder cannot be trusted with more than one frame nor with what follows the last
 * one (spec/dependencies.md), so frames and blocks are walked here and each frame gets a decoder of its own.
 * Layout: RFC 8878 §3.1.
 */
import {constants, createZstdDecompress} from 'node:zlib';
import {ImgctlError} from '../errors.ts';
import {ByteReader} from './byte-reader.ts';
import {through} from './through.ts';

const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;
const maxBlockBytes = 128 * 1024;
const chunkSize = 256 * 1024;
/** Blocks are handed to the decoder in batches, because every call of it is a round trip to another thread. */
const batchBytes = 256 * 1024;

export interface ZstdLimits {
  maxWindowBytes: number;
}

export async function* decodeZstd(source: AsyncIterable<Buffer>, limits: ZstdLimits): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source);
  for (let frames = 0; ; frames++) {
    const magic = await reader.read(4);
    if (magic.length === 0 && frames > 0) return;
    if (magic.length < 4)
      throw new Error(frames > 0 ? 'there is other data after the end' : 'it ends too early');
    const value = magic.readUInt32LE();
    if (isSkippable(value)) {
      const length = (await readExactly(reader, 4)).readUInt32LE();
      if ((await reader.skip(length)) < length) throw new Error('it ends too early');
    } else if (value === frameMagic) {
      yield* decodeFrame(reader, Buffer.from(magic), limits);
    } else {
      throw new Error(frames > 0 ? 'there is other data after the end' : 'it has no zstd magic');
    }
  }
}

async function* decodeFrame(reader: ByteReader, magic: Buffer, limits: ZstdLimits): AsyncGenerator<Buffer> {
  const header = await readFrameHeader(reader);
  if (header.windowBytes > limits.maxWindowBytes) {
    throw new ImgctlError(
      'LimitExceeded',
      `The zstd data needs a window of ${header.windowBytes} bytes, more than the limit of ${limits.maxWindowBytes}`,
      {hint: 'Raise the limit, or compress the file again without --long or --ultra'},
    );
  }
  const windowLog = Math.max(10, Math.ceil(Math.log2(limits.maxWindowBytes)));
  const decoder = createZstdDecompress({chunkSize, params: {[constants.ZSTD_d_windowLogMax]: windowLog}});
  yield* through(frameBytes(reader, Buffer.concat([magic, header.bytes]), header.hasChecksum), decoder);
}

interface FrameHeader {
  bytes: Buffer;
  windowBytes: number;
  hasChecksum: boolean;
}

async function readFrameHeader(reader: ByteReader): Promise<FrameHeader> {
  const descriptor = Buffer.from(await readExactly(reader, 1));
  const flags = descriptor[0] ?? 0;
  if (flags & 0x08) throw new Error('a reserved bit is set in a frame header');
  const isSingleSegment = (flags & 0x20) !== 0;
  const dictionaryIdBytes = [0, 1, 2, 4][flags & 3] ?? 0;
  const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][flags >>> 6] ?? 0;
  const rest = Buffer.from(
    await readExactly(reader, (isSingleSegment ? 0 : 1) + dictionaryIdBytes + contentSizeBytes),
  );
  const dictionaryId = rest.subarray(isSingleSegment ? 0 : 1, rest.length - contentSizeBytes);
  if (dictionaryId.some((byte) => byte !== 0)) throw new Error('it needs a dictionary');
  return {
    bytes: Buffer.concat([descriptor, rest]),
    windowBytes: isSingleSegment ? contentSize(rest.subarray(dictionaryIdBytes)) : windowSize(rest[0] ?? 0),
    hasChecksum: (flags & 0x04) !== 0,
  };
}

function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >>> 3));
  return base + (base / 8) * (descriptor & 7);
}

function contentSize(field: Buffer): number {
  if (field.length === 8) return Number(field.readBigUInt64LE());
  return field.length === 2 ? field.readUInt16LE() + 256 : field.readUIntLE(0, field.length);
}

/** The bytes of one frame and not one more. */
async function* frameBytes(reader: ByteReader, header: Buffer, hasChecksum: boolean): AsyncGenerator<Buffer> {
  let batch = [header];
  let size = header.length;
  for (let isLast = false; !isLast; ) {
    const blockHeader = Buffer.from(await readExactly(reader, 3));
    const fields = blockHeader.readUIntLE(0, 3);
    isLast = (fields & 1) === 1;
    const type = (fields >>> 1) & 3;
    const length = fields >>> 3;
    if (type === 3 || length > maxBlockBytes) throw new Error('a block header is not valid');
    const isRunLength = type === 1;
    batch.push(blockHeader, Buffer.from(await readExactly(reader, isRunLength ? 1 : length)));
    size += 3 + (isRunLength ? 1 : length);
    if (size >= batchBytes) {
      yield Buffer.concat(batch);
      batch = [];
      size = 0;
    }
  }
  if (hasChecksum) batch.push(await readExactly(reader, 4));
  if (batch.length > 0) yield Buffer.concat(batch);
}

async function readExactly(reader: ByteReader, length: number): Promise<Buffer> {
  const bytes = await reader.read(length);
  if (bytes.length < length) throw new Error('it ends too early');
  return bytes;
}

function isSkippable(magic: number): boolean {
  return (magic & ~0xf) >>> 0 === skippableMagic;
}
