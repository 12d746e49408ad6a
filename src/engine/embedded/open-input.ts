/** The file that a child was given, decompressed and told what it is. */
import {closeSync, fstatSync} from 'node:fs';
import {ByteReader} from '../../formats/byte-reader.ts';
import {type DecompressLimits, decompress} from '../../formats/decompress.ts';
import {type Payload, sniffBytes, sniffCompression, sniffPayload} from '../../formats/sniff.ts';
import type {Arrival} from './arrival.ts';
import {decoderTools, takesChunksInTurn} from './decoder-tools.ts';
import {type FileAccess, randomAccess, readFileFrom, readHead} from './file-source.ts';
import {OutputBuffers} from './output-buffers.ts';
import {convertQcow2, copyRaw, type OnWritten, writeRaw} from './raw-writer.ts';
import {openUnnamed} from './unnamed-file.ts';

export interface Input {
  fd: number;
  /** Not compressed, so it may be read in any order and shared. */
  isPlain: boolean;
  /** Only a beginning of it may be there; `bytes` waits for the rest. */
  isArriving: boolean;
  /** Of the file. */
  size: number;
  payload: Payload;
  /** Decompressed. */
  bytes: ByteReader;
  /** Decompressed bytes so far. */
  count: () => number;
}

/**
 * `onPosition` is called with the position in the file as it is read. Of what is still arriving the size means nothing,
 * unless it is told.
 */
export async function openInput(
  fd: number,
  limits: DecompressLimits,
  onPosition: (position: number) => void,
  {size = fstatSync(fd).size, arrival}: {size?: number; arrival?: Arrival | undefined} = {},
): Promise<Input> {
  const head = readHead(fd, sniffBytes);
  const compression = sniffCompression(head);
  const isPlain = compression === 'none';
  const buffers = new OutputBuffers();
  const options = {limits, replacements: decoderTools(buffers)};
  const isArriving = arrival !== undefined;
  const reuse = isPlain ? isArriving || sniffPayload(head) === 'tar' : takesChunksInTurn(compression);
  const decoded = counted(decompress(readFileFrom(fd, onPosition, {reuse, arrival}), compression, options));
  const bytes = new ByteReader(decoded.chunks);
  const payload = sniffPayload(isPlain ? head : await bytes.peek(sniffBytes));
  // Records of a ZFS stream are larger; all others look back as `readFileFrom` allows.
  if (payload !== 'zfs') buffers.reuse();
  return {
    fd,
    isPlain,
    isArriving,
    size,
    payload,
    bytes,
    count: isPlain && !reuse ? () => size : decoded.count,
  };
}

/** Writes the disk that a raw or qcow2 input holds; returns its size. */
export async function writeDisk(
  input: Input,
  target: number,
  options: {
    maxBytes: number;
    onPosition: (position: number, total: number) => void;
    onWritten?: OnWritten | undefined;
  },
): Promise<number> {
  const {maxBytes, onWritten} = options;
  if (input.payload !== 'qcow2') {
    const onPosition = (position: number) => options.onPosition(position, input.size);
    return input.isPlain && !input.isArriving
      ? copyRaw(input.fd, target, {maxBytes, onPosition, onWritten})
      : writeRaw(target, input.bytes.rest(), onWritten);
  }
  return await withDisk(input, (image) =>
    convertQcow2(image, target, {maxBytes, onPosition: options.onPosition, onWritten}),
  );
}

/** Calls `use` with the qcow2 image that the input is; its parts lie in any order. */
export async function withDisk<Result>(
  input: Input,
  use: (image: FileAccess) => Result | Promise<Result>,
): Promise<Result> {
  // A compressed one is decompressed to a file without a name first.
  const image = input.isPlain ? input.fd : await spool(input.bytes.rest());
  try {
    return await use(randomAccess(image));
  } finally {
    if (image !== input.fd) closeSync(image);
  }
}

async function spool(bytes: AsyncIterable<Buffer>): Promise<number> {
  const fd = openUnnamed();
  try {
    await writeRaw(fd, bytes);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The chunks, and how many bytes have passed. */
function counted(chunks: AsyncIterable<Buffer>): {chunks: AsyncIterable<Buffer>; count: () => number} {
  let passed = 0;
  async function* pass(): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      passed += chunk.length;
      yield chunk;
    }
  }
  return {chunks: pass(), count: () => passed};
}
