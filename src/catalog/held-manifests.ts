/**
 * Manifests between their source and the catalog: they come while the catalog must not be locked, and a listing may be ten times
 * what a command may hold. They are held as compressed JSON, a seventh of it, and those beyond some mebibytes in a file
 * without a name, which no crash can leave behind.
 */

import {closeSync, readSync} from 'node:fs';
import {zstdCompressSync, zstdDecompressSync} from 'node:zlib';
import type {ImageManifest} from '../manifest/manifest.ts';
import {writeFully} from '../sys/copy-file.ts';
import {openNameless} from '../sys/descriptors.ts';

/** JSON of this size goes into the catalog by one statement, and is compressed by one call. */
const batchChars = 512 * 1024;
/** Compressed, of some 100,000 images. A million of them took 300 MiB of the command, and take 250. */
const maxBytesInMemory = 8 * 1024 * 1024;

/** Compressed, here or in the file. */
interface Batch {
  count: number;
  place: Uint8Array | {position: number; length: number};
}

/** Dispose it when done. */
export class HeldManifests implements Disposable {
  readonly #directory: string | undefined;
  readonly #batches: Batch[] = [];
  #texts: string[] = [];
  #chars = 0;
  #bytesInMemory = 0;
  #fd: number | undefined;
  #fileBytes = 0;
  /** Without a file, more memory is taken. */
  #canSpill: boolean;

  /** In the directory a file may be made. */
  constructor(directory?: string) {
    this.#directory = directory;
    this.#canSpill = directory !== undefined;
  }

  static of(manifests: readonly ImageManifest[]): HeldManifests {
    const held = new HeldManifests();
    held.add(manifests);
    return held;
  }

  add(manifests: readonly ImageManifest[]): void {
    for (const manifest of manifests) {
      const text = JSON.stringify(manifest);
      this.#texts.push(text);
      this.#chars += text.length;
      if (this.#chars >= batchChars) this.#close();
    }
  }

  /** In the order in which they came: JSON of arrays, and how many are in each. */
  *arrays(): Generator<{text: string; count: number}> {
    for (const {count, place} of this.#batches) {
      const bytes = place instanceof Uint8Array ? place : this.#read(place);
      yield {text: zstdDecompressSync(bytes).toString(), count};
    }
    if (this.#texts.length > 0) yield {text: `[${this.#texts.join(',')}]`, count: this.#texts.length};
  }

  /** All of them at once, for who has no other place for them. */
  all(): ImageManifest[] {
    return [...this.arrays()].flatMap(({text}) => JSON.parse(text) as ImageManifest[]);
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #close(): void {
    const bytes = zstdCompressSync(`[${this.#texts.join(',')}]`);
    this.#batches.push({count: this.#texts.length, place: this.#spill(bytes) ?? bytes});
    this.#texts = [];
    this.#chars = 0;
  }

  /** Where it lies in the file; undefined where it stays here. */
  #spill(bytes: Buffer): {position: number; length: number} | undefined {
    if (this.#canSpill && this.#bytesInMemory + bytes.length > maxBytesInMemory) {
      try {
        this.#fd ??= openNameless(this.#directory ?? '');
        const position = this.#fileBytes;
        writeFully(this.#fd, bytes, position);
        this.#fileBytes += bytes.length;
        return {position, length: bytes.length};
      } catch {
        // The catalog tells of a full disk, should it find one too.
        this.#canSpill = false;
      }
    }
    this.#bytesInMemory += bytes.length;
    return undefined;
  }

  #read({position, length}: {position: number; length: number}): Uint8Array {
    const bytes = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const count = readSync(this.#fd ?? -1, bytes, filled, length - filled, position + filled);
      if (count === 0) throw new Error('A file without a name has become shorter');
      filled += count;
    }
    return bytes;
  }
}
