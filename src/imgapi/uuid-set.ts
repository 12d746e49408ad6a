/**
 * Which UUIDs a listing had: a million of them as strings take a hundred MiB. Here they are numbers in a table; what is no
 * UUID, as from a server that sends what it likes, stays a string.
 */

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const wordsOfUuid = 4;
const firstPlaces = 1024;

export class UuidSet {
  readonly #others = new Set<string>();
  /** Who sends UUIDs must not know where they come to lie, or he sends many for one place. */
  readonly #seeds = Array.from({length: wordsOfUuid}, () => Math.floor(Math.random() * 2 ** 32) | 1);
  /** Four words a place, none of whose bits is set while it is free. */
  #table = new Uint32Array(wordsOfUuid * firstPlaces);
  #count = 0;

  get size(): number {
    return this.#count + this.#others.size;
  }

  has(text: string): boolean {
    const words = wordsIn(text);
    return words ? !isFree(this.#table, this.#placeOf(words)) : this.#others.has(text);
  }

  add(text: string): void {
    const words = wordsIn(text);
    if (!words) {
      this.#others.add(text);
      return;
    }
    if (this.#put(words)) this.#count += 1;
    // Half of it stays free: where it is fuller, looking takes long.
    if (this.#count * 2 * wordsOfUuid > this.#table.length) this.#grow();
  }

  #put(words: ArrayLike<number>): boolean {
    const place = this.#placeOf(words);
    if (!isFree(this.#table, place)) return false;
    this.#table.set(words, place);
    return true;
  }

  /** Where it is, or would be. */
  #placeOf(words: ArrayLike<number>): number {
    const table = this.#table;
    const mask = table.length / wordsOfUuid - 1;
    let hash = 0;
    for (let index = 0; index < wordsOfUuid; index += 1) {
      hash = Math.imul(hash ^ words[index]!, this.#seeds[index]!);
      hash ^= hash >>> 15;
    }
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const at = place * wordsOfUuid;
      if (isFree(table, at) || isAt(table, at, words)) return at;
    }
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Uint32Array(old.length * 2);
    for (let at = 0; at < old.length; at += wordsOfUuid)
      if (!isFree(old, at)) this.#put(old.subarray(at, at + wordsOfUuid));
  }
}

/** Undefined for what is no UUID, and for the one that would look like a free place. */
function wordsIn(text: string): number[] | undefined {
  if (!uuidPattern.test(text)) return undefined;
  const hex = text.replaceAll('-', '');
  const words = [0, 8, 16, 24].map((at) => Number.parseInt(hex.slice(at, at + 8), 16));
  return words.some((word) => word !== 0) ? words : undefined;
}

function isFree(table: Uint32Array, at: number): boolean {
  return (table[at]! | table[at + 1]! | table[at + 2]! | table[at + 3]!) === 0;
}

function isAt(table: Uint32Array, at: number, words: ArrayLike<number>): boolean {
  for (let index = 0; index < wordsOfUuid; index += 1) if (table[at + index] !== words[index]) return false;
  return true;
}
