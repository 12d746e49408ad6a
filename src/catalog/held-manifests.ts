/**
 * Manifests between their source and the catalog: they come while the catalog must not be locked, and a listing may be ten times
 * what a command may hold. Held as compressed JSON they take a seventh of it, and no file that a crash could leave.
 */

import {zstdCompressSync, zstdDecompressSync} from 'node:zlib';
import type {ImageManifest} from '../manifest/manifest.ts';

/** JSON of this size goes into the catalog by one statement, and is compressed by one call. */
const batchChars = 512 * 1024;

interface Batch {
  count: number;
  bytes: Uint8Array;
}

export class HeldManifests {
  readonly #batches: Batch[] = [];
  #texts: string[] = [];
  #chars = 0;

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
    for (const {count, bytes} of this.#batches) yield {text: zstdDecompressSync(bytes).toString(), count};
    if (this.#texts.length > 0) yield {text: `[${this.#texts.join(',')}]`, count: this.#texts.length};
  }

  /** All of them at once, for who has no other place for them. */
  all(): ImageManifest[] {
    return [...this.arrays()].flatMap(({text}) => JSON.parse(text) as ImageManifest[]);
  }

  #close(): void {
    const bytes = zstdCompressSync(`[${this.#texts.join(',')}]`);
    this.#batches.push({count: this.#texts.length, bytes});
    this.#texts = [];
    this.#chars = 0;
  }
}
