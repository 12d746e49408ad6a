/**
 * Writes what arrives while more is received and hashed: all that came during one write goes into the next, up to a
 * mebibyte, because a call for every chunk of a socket (64 KiB) costs more than the writing. Pieces are written one
 * after the other, so that a file is always a beginning of what arrived, and what arrived does not wait for more.
 */
import type {FileHandle} from 'node:fs/promises';

const batchBytes = 1 << 20;
const zeros = Buffer.alloc(64 * 1024);

export class WriteBehind {
  readonly #handle: FileHandle;
  readonly #onWritten: (endBytes: number) => void;
  #chunks: Buffer[] = [];
  #start = 0;
  #bytes = 0;
  #running: Promise<void> | undefined;

  /** `onWritten` is told how far the file reaches. */
  constructor(handle: FileHandle, onWritten: (endBytes: number) => void) {
    this.#handle = handle;
    this.#onWritten = onWritten;
  }

  /** Takes the bytes for that offset, right behind those before. Rejects with the failure of an earlier piece. */
  async add(chunk: Buffer, offsetBytes: number): Promise<void> {
    if (this.#chunks.length === 0) this.#start = offsetBytes;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= batchBytes) await this.#running;
    if (!this.#running && this.#chunks.length > 0) this.#begin();
  }

  /** Resolves when everything is in the file. */
  async flush(): Promise<void> {
    while (this.#running) await this.#running;
  }

  #begin(): void {
    this.#running = this.#writeAll();
    this.#running.catch(() => undefined); // whoever comes next is told
  }

  /** After a failure this stays as it is, so that nobody goes on. */
  async #writeAll(): Promise<void> {
    while (this.#chunks.length > 0) {
      const [chunks, start, bytes] = [this.#chunks, this.#start, this.#bytes];
      this.#chunks = [];
      this.#start += bytes;
      this.#bytes = 0;
      await this.#write(chunks, start, bytes);
      this.#onWritten(start + bytes);
    }
    this.#running = undefined;
  }

  /** Zeros become holes: a disk image that is not compressed has many. */
  async #write(chunks: readonly Buffer[], start: number, bytes: number): Promise<void> {
    let position = start;
    let run: Buffer[] = [];
    let runBytes = 0;
    for (const chunk of chunks) {
      position += chunk.length;
      if (!isZero(chunk)) {
        run.push(chunk);
        runBytes += chunk.length;
        continue;
      }
      if (runBytes > 0) await this.#writeRun(run, position - chunk.length - runBytes, runBytes);
      run = [];
      runBytes = 0;
    }
    if (runBytes > 0) await this.#writeRun(run, position - runBytes, runBytes);
    else await this.#handle.truncate(start + bytes);
  }

  async #writeRun(chunks: readonly Buffer[], start: number, bytes: number): Promise<void> {
    let {bytesWritten} = await this.#handle.writev(chunks, start);
    if (bytesWritten === bytes) return;
    for (const all = Buffer.concat(chunks); bytesWritten < bytes; ) {
      const more = await this.#handle.write(all, bytesWritten, bytes - bytesWritten, start + bytesWritten);
      bytesWritten += more.bytesWritten;
    }
  }
}

function isZero(chunk: Buffer): boolean {
  if (chunk[0] !== 0 || chunk[chunk.length - 1] !== 0) return false;
  for (let start = 0; start < chunk.length; start += zeros.length) {
    const end = Math.min(start + zeros.length, chunk.length);
    if (zeros.compare(chunk, start, end, 0, end - start) !== 0) return false;
  }
  return true;
}
