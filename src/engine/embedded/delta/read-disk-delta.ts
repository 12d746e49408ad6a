/** Turns what differs between a disk and its base into a qcow2 image that holds the changed clusters (design.md §5). */
import {fstatSync} from 'node:fs';
import {clusterSize, clusterState, qcow2Head} from '../../../formats/qcow2/write-qcow2.ts';
import {blocksWithData, isZero, readFilled} from './contents.ts';

/** A disk that became shorter says so by its size; what lies behind is not in the image. */
export async function* readDiskDelta(
  disk: number,
  base: number,
  onPosition: (position: number) => void,
): AsyncGenerator<Buffer> {
  const {size} = fstatSync(disk);
  const states = compare({fd: disk, size}, {fd: base, size: fstatSync(base).size}, onPosition);
  yield* qcow2Head(size, states);
  for (const [index, state] of states.entries()) {
    if (state === clusterState.data) yield readCluster(disk, size, index);
  }
}

interface SizedFile {
  fd: number;
  size: number;
}

function compare(disk: SizedFile, base: SizedFile, onPosition: (position: number) => void): Uint8Array {
  const states = new Uint8Array(Math.ceil(disk.size / clusterSize));
  for (const position of blocksWithData([disk, base], clusterSize)) {
    if (position >= disk.size) break;
    const index = position / clusterSize;
    const bytes = readCluster(disk.fd, disk.size, index);
    if (!bytes.equals(readCluster(base.fd, Math.min(base.size, disk.size), index)))
      states[index] = isZero(bytes) ? clusterState.zeros : clusterState.data;
    onPosition(position);
  }
  return states;
}

/** Always a whole cluster, with zeros behind the end of the disk. */
function readCluster(fd: number, size: number, index: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(clusterSize);
  return readFilled(fd, buffer, index * clusterSize).fill(
    0,
    Math.max(0, Math.min(clusterSize, size - index * clusterSize)),
  );
}
