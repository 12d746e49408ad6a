/** A digest worked out on another thread while this one goes on; on this one where Node does not show its OpenSSL. */
import {createHash, type Hash} from 'node:crypto';
import {type DigestHandle, native, SystemError} from './native.ts';

export class StreamDigest {
  readonly #state: DigestHandle | Hash;

  constructor(algorithm: 'sha1' | 'sha256') {
    this.#state = native().digestOpen(algorithm) ?? createHash(algorithm);
  }

  /** Resolves when the bytes, which stay as they are until then, are counted. One at a time. */
  async update(bytes: Buffer): Promise<void> {
    if ('update' in this.#state) return void this.#state.update(bytes);
    const result = await native().digestUpdate(this.#state, bytes);
    if (result < 0) throw new SystemError(-result, 'digest');
  }

  /** Whether it can count what a file holds, which needs a library. */
  get takesContents(): boolean {
    return !('update' in this.#state);
  }

  /**
   * Counts the blocks of 64 KiB of a file between two of them that are not all zeros, each after its position in eight bytes;
   * the last ends with the file.
   */
  async updateContents(fd: number, from: number, to: number): Promise<void> {
    if ('update' in this.#state) throw new Error('There is no library that digests a file');
    const result = await native().digestContents(this.#state, fd, from, to);
    if (result < 0) throw new SystemError(-result, 'read');
  }

  /** Hex, of everything so far; not while an update runs. */
  hex(): string {
    if ('update' in this.#state) return this.#state.copy().digest('hex');
    const digest = native().digestRead(this.#state);
    if (!digest) throw new Error('A digest that is being worked on has no value');
    return digest.toString('hex');
  }
}
