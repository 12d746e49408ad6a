/** Parts of a disk, taken out of an image file and written to another on other threads. */
import {constants} from 'node:os';
import {type ClusterHandle, native, SystemError} from './native.ts';

export interface PackedPart {
  /** Position on the disk. */
  offset: number;
  /** Where it lies in the file. */
  host: number;
  /** Bytes of the disk. */
  length: number;
  /** 0: as it is; else the beginning of a compressed cluster that has at most so many bytes in the file. */
  packed: number;
}

export interface ClusterOptions {
  compression: 'zlib' | 'zstd';
  clusterSize: number;
  /** The most that a part takes in the file. */
  maxStoredBytes: number;
  /** Of zstd. */
  windowLog: number;
}

/** In bytes, as cluster-batch.c has it: offset and place of 64 bits, length and packed length of 32. */
const partBytes = 24;

export class ClusterUnpacker {
  readonly #handle: ClusterHandle;
  readonly #report = Buffer.alloc(8);

  private constructor(handle: ClusterHandle) {
    this.#handle = handle;
  }

  /** Undefined where there is no library for the compression. */
  static open({compression, clusterSize, maxStoredBytes, windowLog}: ClusterOptions) {
    const kind = compression === 'zstd' ? 1 : 0;
    const handle = native().clusterUnpacker(kind, clusterSize, maxStoredBytes, windowLog);
    return handle && new ClusterUnpacker(handle);
  }

  /** Writes all parts, without their zeros, or tells which one is wrong. One call at a time; a failed write is thrown. */
  async unpack(
    parts: readonly PackedPart[],
    source: number,
    target: number,
  ): Promise<{part: PackedPart; fault: 'truncated' | 'damaged'} | undefined> {
    const table = Buffer.alloc(parts.length * partBytes);
    for (const [index, {offset, host, length, packed}] of parts.entries()) {
      const at = index * partBytes;
      table.writeBigInt64LE(BigInt(offset), at);
      table.writeBigInt64LE(BigInt(host), at + 8);
      table.writeUInt32LE(length, at + 16);
      table.writeUInt32LE(packed, at + 20);
    }
    const result = await native().unpackClusters(this.#handle, table, this.#report, source, target);
    if (result === 0) return undefined;
    const part = parts[this.#report.readUInt32LE(0)];
    if (part && result === -constants.errno.EBADMSG) return {part, fault: 'damaged'};
    if (part && result === -constants.errno.ENODATA) return {part, fault: 'truncated'};
    throw new SystemError(-result, 'pwrite');
  }
}
