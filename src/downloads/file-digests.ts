import {StreamDigest} from '../sys/stream-digest.ts';
import type {FileDigests} from '../verify/digester.ts';

/** The digests that a file is known by, worked out as its bytes come by. */
export class ArrivingDigests {
  readonly #sha1 = new StreamDigest('sha1');
  readonly #sha256 = new StreamDigest('sha256');
  readonly all: readonly StreamDigest[] = [this.#sha1, this.#sha256];

  /** Hex, of everything so far; not while one is updated. */
  values(): FileDigests {
    return {sha1: this.#sha1.hex(), sha256: this.#sha256.hex()};
  }
}
