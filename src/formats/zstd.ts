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

/** Magic, descriptor, window, dictionary and content size. */
const maxHeaderBytes = 4 + 1 + 1 + 4 + 8;

export interface ZstdLimits {
  maxWindowBytes: number;
}

export interface ZstdFrame {
  /** Of the header, magic included. */
  headerBytes: number;
  windowBytes: number;
  hasChecksum: boolean;
}

/** Reads a frame, from its magic to its end, and nothing behind it. */
export type FrameDecoder = (reader: ByteReader, frame: ZstdFrame) => AsyncIterable<Buffer>;

export function decodeZstd(source: AsyncIterable<Buffer>, limits: ZstdLimits): AsyncGenerator<Buffer> {
  return decodeFrames(source, limits, (reader, frame) => decodeByNode(reader, frame, limits));
}

/** Decodes every frame, the skippable ones left out. What comes to `decode` keeps to the limits by its header. */
export async function* decodeFrames(
  source: AsyncIterable<Buffer>,
  limits: ZstdLimits,
  decode: FrameDecoder,
): AsyncGenerator<Buffer> {
  const reader = new ByteReader(source);
  try {
    for (let frames = 0; ; frames++) {
      const head = await reader.peek(maxHeaderBytes);
      if (head.length === 0 && frames > 0) return;
      if (head.length < 4)
        throw new Error(frames > 0 ? 'there is other data after the end' : 'it ends too early');
      const magic = head.readUInt32LE();
      if (isSkippable(magic)) {
        if (head.length < 8) throw new Error('it ends too early');
        const length = 8 + head.readUInt32LE(4);
        if ((await reader.skip(length)) < length) throw new Error('it ends too early');
      } else if (magic === frameMagic) {
        const frame = readFrameHeader(head);
        if (frame.windowBytes > limits.maxWindowBytes) throw windowTooLarge(frame, limits);
        yield* decode(reader, frame);
      } else {
        throw new Error(frames > 0 ? 'there is other data after the end' : 'it has no zstd magic');
      }
    }
  } finally {
    await reader.close();
  }
}

/** The decoder knows powers of two only. */
function windowLogOf({maxWindowBytes}: ZstdLimits): number {
  return Math.max(10, Math.ceil(Math.log2(maxWindowBytes)));
}

async function* decodeByNode(
  reader: ByteReader,
  frame: ZstdFrame,
  limits: ZstdLimits,
): AsyncGenerator<Buffer> {
  const params = {[constants.ZSTD_d_windowLogMax]: windowLogOf(limits)};
  yield* through(frameBytes(reader, frame), createZstdDecompress({chunkSize, params}));
}

function readFrameHeader(bytes: Buffer): ZstdFrame {
  const flags = bytes[4] ?? 0;
  if (flags & 0x08) throw new Error('a reserved bit is set in a frame header');
  const isSingleSegment = (flags & 0x20) !== 0;
  const dictionaryIdBytes = [0, 1, 2, 4][flags & 3] ?? 0;
  const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][flags >>> 6] ?? 0;
  const dictionaryStart = isSingleSegment ? 5 : 6;
  const sizeStart = dictionaryStart + dictionaryIdBytes;
  const headerBytes = sizeStart + contentSizeBytes;
  if (bytes.length < headerBytes) throw new Error('it ends too early');
  if (bytes.subarray(dictionaryStart, sizeStart).some((byte) => byte !== 0)) {
    throw new Error('it needs a dictionary');
  }
  return {
    headerBytes,
    windowBytes: isSingleSegment
      ? contentSize(bytes.subarray(sizeStart, headerBytes))
      : windowSize(bytes[5] ?? 0),
    hasChecksum: (flags & 0x04) !== 0,
  };
}

function windowTooLarge({windowBytes}: ZstdFrame, {maxWindowBytes}: ZstdLimits): ImgctlError {
  return new ImgctlError(
    'LimitExceeded',
    `The zstd data needs a window of ${windowBytes} bytes, more than the limit of ${maxWindowBytes}`,
    {hint: 'Raise the limit, or compress the file again without --long or --ultra'},
  );
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
async function* frameBytes(
  reader: ByteReader,
  {headerBytes, hasChecksum}: ZstdFrame,
): AsyncGenerator<Buffer> {
  let batch: Buffer[] = [Buffer.from(await readExactly(reader, headerBytes))];
  let size = headerBytes;
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
