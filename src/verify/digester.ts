import {createHash, type Hash} from 'node:crypto';

export interface FileDigests {
  sha1: string;
  sha256: string;
}

/** SHA-1 and SHA-256 of bytes that somebody else moves; may be asked at any time, also in the middle. */
export class FileDigester {
  readonly #sha1: Hash = createHash('sha1');
  readonly #sha256: Hash = createHash('sha256');

  update(chunk: Uint8Array): void {
    this.#sha1.update(chunk);
    this.#sha256.update(chunk);
  }

  /** Hex, of everything so far. */
  digests(): FileDigests {
    return {sha1: this.#sha1.copy().digest('hex'), sha256: this.#sha256.copy().digest('hex')};
  }
}
