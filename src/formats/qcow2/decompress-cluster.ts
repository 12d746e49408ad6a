/** Compressed clusters: a raw deflate stream or one zstd frame, followed by whatever lies behind it in the file. */
import {constants, inflateRawSync, zstdDecompressSync} from 'node:zlib';
import type {Qcow2Header} from './header.ts';
import {invalidQcow2} from './qcow2-errors.ts';

const frameMagic = 0xfd2fb528;
/** The largest cluster is 2 MiB; writers may ask for somewhat more. */
export const maxWindowLog = 23;

type Encoding = Pick<Qcow2Header, 'compression' | 'clusterSize'>;

/** The cluster's bytes, exactly; `what` is how errors call it. */
export function decompressCluster(bytes: Buffer, encoding: Encoding, what: string): Buffer {
  try {
    const options = optionsFor(encoding);
    const cluster =
      encoding.compression === 'zlib'
        ? inflateRawSync(bytes, options)
        : zstdDecompressSync(firstFrame(bytes), options);
    return checked(cluster, encoding);
  } catch (error) {
    throw invalidQcow2(`${what} cannot be decompressed`, error);
  }
}

function optionsFor({compression, clusterSize}: Encoding): object {
  const size = {maxOutputLength: clusterSize, chunkSize: clusterSize};
  return compression === 'zlib' ? size : {...size, params: {[constants.ZSTD_d_windowLogMax]: maxWindowLog}};
}

function checked(cluster: Buffer, {clusterSize}: Encoding): Buffer {
  if (cluster.length !== clusterSize) throw new Error(`it has ${cluster.length} bytes when decompressed`);
  return cluster;
}

function firstFrame(bytes: Buffer): Buffer {
  return bytes.subarray(0, frameLength(bytes));
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
