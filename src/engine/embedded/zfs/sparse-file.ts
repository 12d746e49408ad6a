import {ftruncateSync} from 'node:fs';
import {errnoOf} from '../../../errors.ts';
import {dataRuns} from '../../../formats/sparse.ts';
import {punchHole} from '../../../sys/contents.ts';
import {writeFully} from '../../../sys/copy-file.ts';

const bufferBytes = 1024 * 1024;
/** Larger ones are written as they come. */
const largestCollected = 64 * 1024;
const zeros = Buffer.alloc(bufferBytes);
const collected = Buffer.allocUnsafeSlow(bufferBytes);

/**
 * A file that is written by blocks, mostly in order: blocks that follow each other are written at once, zeros behind
 * the end become holes, and freed ranges holes again. One at a time, as they share a buffer. The caller closes it.
 */
export class SparseFile {
  readonly fd: number;
  #end: number;
  #at = 0;
  #bytes = 0;

  /** `end` is where nothing follows in the file any more. */
  constructor(fd: number, end: number) {
    this.fd = fd;
    this.#end = end;
  }

  write(offset: number, bytes: Buffer): void {
    if (offset !== this.#at + this.#bytes || bytes.length > bufferBytes - this.#bytes) this.flush();
    if (bytes.length > largestCollected) {
      this.flush();
      this.#put(offset, bytes);
      return;
    }
    if (this.#bytes === 0) this.#at = offset;
    this.#bytes += bytes.copy(collected, this.#bytes);
  }

  /** Makes a range zeros; it may reach beyond the end. */
  free(offset: number, length: number): void {
    this.flush();
    if (offset >= this.#end) return;
    if (offset + length >= this.#end) {
      ftruncateSync(this.fd, offset);
      this.#end = offset;
    } else {
      this.#punch(offset, length);
    }
  }

  /** Writes what was collected; returns where nothing follows any more. */
  flush(): number {
    if (this.#bytes > 0) this.#put(this.#at, collected.subarray(0, this.#bytes));
    this.#bytes = 0;
    return this.#end;
  }

  #put(offset: number, bytes: Buffer): void {
    const isBehind = offset >= this.#end;
    const runs = isBehind ? dataRuns(bytes, offset) : [{offset, bytes}];
    for (const run of runs) writeFully(this.fd, run.bytes, run.offset);
    this.#end = Math.max(this.#end, offset + bytes.length);
  }

  #punch(offset: number, length: number): void {
    try {
      punchHole(this.fd, offset, length);
    } catch (error) {
      if (errnoOf(error) !== 'EOPNOTSUPP') throw error;
      for (let done = 0; done < length; done += bufferBytes)
        writeFully(this.fd, zeros.subarray(0, Math.min(bufferBytes, length - done)), offset + done);
    }
  }
}
