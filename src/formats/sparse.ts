/** Finds the parts of a chunk that are worth writing, so that the rest of the file stays a hole. */

/** Finer holes cost more than they save; this is the block size of nearly every file system. */
const granularity = 4096;
const zeros = Buffer.alloc(granularity);

export interface DataRun {
  /** Position in the file. */
  offset: number;
  bytes: Buffer;
}

/**
 * Yields the runs of `chunk` (which lies at `offset` of its file) that hold data, in order. Holes begin and end
 * at multiples of 4 KiB of the file, or at the ends of the chunk.
 */
export function* dataRuns(chunk: Buffer, offset: number): Generator<DataRun> {
  let start = -1;
  for (let position = 0; position < chunk.length; ) {
    const end = Math.min(position + granularity - ((offset + position) % granularity), chunk.length);
    const isHole = isZero(chunk, position, end);
    if (isHole && start >= 0) {
      yield {offset: offset + start, bytes: chunk.subarray(start, position)};
      start = -1;
    } else if (!isHole && start < 0) {
      start = position;
    }
    position = end;
  }
  if (start >= 0) yield {offset: offset + start, bytes: chunk.subarray(start)};
}

/** First and last byte settle most blocks without a comparison. */
function isZero(chunk: Buffer, start: number, end: number): boolean {
  if (chunk[start] !== 0 || chunk[end - 1] !== 0) return false;
  return zeros.compare(chunk, start, end, 0, end - start) === 0;
}
