/** Writes the disk of a qcow2 image with several threads, each of which reads, decompresses and writes parts of its own. */
import {availableParallelism} from 'node:os';
import {maxWindowLog} from '../../formats/qcow2/decompress-cluster.ts';
import {type DiskPart, maxPieceBytes, partFailure, type Qcow2Image} from '../../formats/qcow2/qcow2-image.ts';
import {ClusterUnpacker} from '../../sys/cluster-batch.ts';

/** Each takes three of the largest clusters, 6 MiB, and all memory of a command has a limit (design.md §8). */
const maxUnpackers = 4;
/** So much of the disk goes to a thread with one call: some milliseconds of work. */
const batchBytes = 2 * 1024 * 1024;
const maxBatchParts = 256;

interface Running {
  unpacker: ClusterUnpacker;
  /** Where the batch begins on the disk. */
  offset: number;
  result: ReturnType<ClusterUnpacker['unpack']>;
}

/** False, with nothing done, where there is no library for it. The position tells what was written before it. */
export async function writeParts(
  image: Qcow2Image,
  source: number,
  target: number,
  onPosition: (position: number) => void,
): Promise<boolean> {
  const idle = openUnpackers(image);
  if (!idle) return false;
  const running: Running[] = [];
  const finish = async () => {
    const oldest = running.shift();
    if (!oldest) return;
    const failure = await oldest.result;
    if (failure) throw partFailure(failure.part, failure.fault);
    onPosition(oldest.offset);
    idle.push(oldest.unpacker);
  };
  try {
    for (const parts of batches(image.parts())) {
      if (idle.length === 0) await finish();
      const unpacker = idle.pop();
      if (!unpacker) throw new Error('Every unpacker is busy');
      const result = unpacker.unpack(parts, source, target);
      result.catch(() => undefined); // it is awaited when it is its turn
      running.push({unpacker, offset: parts[0]?.offset ?? 0, result});
    }
    while (running.length > 0) await finish();
    return true;
  } finally {
    await Promise.allSettled(running.map(({result}) => result));
  }
}

function openUnpackers({encoding}: Qcow2Image): ClusterUnpacker[] | undefined {
  const {compression, clusterSize} = encoding;
  // A compressed cluster takes no more than two, by the width of its length.
  const maxStoredBytes = Math.max(maxPieceBytes, 2 * clusterSize);
  const unpackers: ClusterUnpacker[] = [];
  while (unpackers.length < Math.min(availableParallelism() + 1, maxUnpackers)) {
    const unpacker = ClusterUnpacker.open({
      compression,
      clusterSize,
      maxStoredBytes,
      windowLog: maxWindowLog,
    });
    if (!unpacker) return undefined;
    unpackers.push(unpacker);
  }
  return unpackers;
}

function* batches(parts: Iterable<DiskPart>): Generator<DiskPart[]> {
  let batch: DiskPart[] = [];
  let bytes = 0;
  for (const part of parts) {
    batch.push(part);
    bytes += part.length;
    if (bytes < batchBytes && batch.length < maxBatchParts) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}
