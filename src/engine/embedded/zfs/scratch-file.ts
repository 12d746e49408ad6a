/** Bytes that are too many for memory, in a file that only grows; both ends work in large steps. */
import {closeSync, readSync} from 'node:fs';
import type {Scratch} from '../../../formats/zfs-stream/zfs-object.ts';
import {writeFully} from '../../../sys/copy-file.ts';
import {openUnnamed} from '../unnamed-file.ts';

const bufferBytes = 1024 * 1024;
const windowBytes = 64 * 1024;

export class ScratchFile implements Scratch, Disposable {
  readonly #fd = openUnnamed();
  /** What is not written yet; it begins at `#written`. */
  readonly #tail = Buffer.allocUnsafeSlow(bufferBytes);
  #tailBytes = 0;
  #written = 0;
  /** A part of the file that was read. */
  readonly #window = Buffer.allocUnsafeSlow(windowBytes);
  #windowAt = 0;
  #windowBytes = 0;

  append(bytes: Buffer): number {
    const at = this.#written + this.#tailBytes;
    if (bytes.length > bufferBytes - this.#tailBytes) this.#flush();
    if (bytes.length > bufferBytes) {
      writeFully(this.#fd, bytes, this.#written);
      this.#written += bytes.length;
    } else {
      this.#tailBytes += bytes.copy(this.#tail, this.#tailBytes);
    }
    return at;
  }

  read(at: number, length: number): Buffer {
    if (at + length > this.#written) this.#flush();
    if (length > windowBytes) return this.#readAt(Buffer.allocUnsafe(length), at);
    if (at < this.#windowAt || at + length > this.#windowAt + this.#windowBytes) {
      const size = Math.min(windowBytes, this.#written - at);
      this.#windowBytes = this.#readAt(this.#window.subarray(0, size), at).length;
      this.#windowAt = at;
    }
    return Buffer.from(this.#window.subarray(at - this.#windowAt, at - this.#windowAt + length));
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #flush(): void {
    writeFully(this.#fd, this.#tail.subarray(0, this.#tailBytes), this.#written);
    this.#written += this.#tailBytes;
    this.#tailBytes = 0;
  }

  #readAt(target: Buffer, at: number): Buffer {
    for (let done = 0; done < target.length; ) {
      const count = readSync(this.#fd, target, done, target.length - done, at + done);
      if (count === 0) throw new Error('The scratch file ends too early');
      done += count;
    }
    return target;
  }
}
