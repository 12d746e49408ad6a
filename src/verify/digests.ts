/** Digests of bytes as they pass by; nothing here judges whether they are the wanted ones. */
import {createHash, type Hash} from 'node:crypto';
import {Transform, type TransformCallback} from 'node:stream';

export type DigestName = 'md5' | 'sha1' | 'sha256';

/** Passes bytes through unchanged and digests them in the same pass. Read the results after the last byte. */
export class DigestTap extends Transform {
  readonly #hashes: Map<DigestName, Hash>;
  #results: Map<DigestName, string> | undefined;
  #sizeBytes = 0;

  constructor(names: readonly DigestName[]) {
    super({highWaterMark: 256 * 1024});
    this.#hashes = new Map(names.map((name) => [name, createHash(name)]));
  }

  /** Bytes seen so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The hex digest of everything that passed; an error before the end, or for a digest not asked for. */
  digest(name: DigestName): string {
    const result = this.#results?.get(name);
    if (result === undefined) throw new Error(`digest "${name}" is not available`);
    return result;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.#sizeBytes += chunk.length;
    for (const hash of this.#hashes.values()) hash.update(chunk);
    callback(null, chunk);
  }

  override _flush(callback: TransformCallback): void {
    this.#results = new Map([...this.#hashes].map(([name, hash]) => [name, hash.digest('hex')]));
    callback();
  }
}
