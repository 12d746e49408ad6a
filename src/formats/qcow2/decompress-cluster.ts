/** Compressed clusters: a raw deflate stream or one zstd frame, followed by whatever lies behind it in the file. */
import {constants, inflateRawSync, zstdDecompressSync} from 'node:zlib';
import type {Qcow2Header} from './header.ts';
import {invalidQcow2} from './qcow2-errors.ts';

const frameMagic = 0xfd2fb528;
/** The largest cluster is 2 MiB; writers may ask for somewhat more. */
const maxWindowLog = 23;

/** The cluster's bytes, exactly; `what` is how errors call it. */
export function decompressCluster(
  bytes: Buffer,
  {compression, clusterSize}: Pick<Qcow2Header, 'compression' | 'clusterSize'>,
  what: string,
): Buffer {
  let cluster: Buffer;
  try {
    cluster = compression === 'zlib' ? inflate(bytes, clusterSize) : unpackFrame(bytes, clusterSize);
  } catch (error) {
    throw invalidQcow2(`${what} cannot be decompressed`, error);
  }
  if (cluster.length !== clusterSize)
    throw invalidQcow2(`${what} has ${cluster.length} bytes when decompressed`);
  return cluster;
}

function inflate(bytes: Buffer, clusterSize: number): Buffer {
  return inflateRawSync(bytes, {maxOutputLength: clusterSize, chunkSize: clusterSize});
}

function unpackFrame(bytes: Buffer, clusterSize: number): Buffer {
  return zstdDecompressSync(bytes.subarray(0, frameLength(bytes)), {
    maxOutputLength: clusterSize,
    chunkSize: clusterSize,
    params: {[constants.ZSTD_d_windowLogMax]: maxWindowLog},
  });
}

/** Length of the frame at the beginning, by its block headers (RFC 8878 §3.1.1): the decoder fails on what follows. */
function frameLength(bytes: Buffer): number {
  if (bytes.readUInt32LE(0) !== frameMagic) throw new Error('it has no zstd magic');
  const flags = bytes.readUInt8(4);
  const isSingleSegment = (flags & 0x20) !== 0;
  const dictionaryIdBytes = [0, 1, 2, 4][flags & 3] ?? 0;
  const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][flags >>> 6] ?? 0;
  let end = 5 + (isSingleSegment ? 0 : 1) + dictionaryIdBytes + contentSizeBytes;
  for (let isLast = false; !isLast; ) {
    const block = bytes.readUIntLE(end, 3);
    isLast = (block & 1) === 1;
    const isRunLength = ((block >>> 1) & 3) === 1;
    end += 3 + (isRunLength ? 1 : block >>> 3);
  }
  return end + ((flags & 0x04) !== 0 ? 4 : 0);
}
