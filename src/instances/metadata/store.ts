/**
 * The metadata of one machine as its guest sees it (spec/mdata.md §5): fixed names `sdc:…` that are only read, and names
 * that the guest may read, write and delete, in memory. Everything a guest can make grow has a limit.
 */
import {EventEmitter} from 'node:events';

export const metadataLimits = {keyBytes: 256, valueBytes: 1024 * 1024, keys: 1000};

/** Of a request that is answered with a failure and this text, which is part of the protocol. */
export class MetadataRefusal extends Error {}

interface StoreEvents {
  put: [key: string, value: string];
}

export class MetadataStore extends EventEmitter<StoreEvents> {
  readonly #fixed: ReadonlyMap<string, string>;
  readonly #values: Map<string, string>;

  constructor(fixed: Readonly<Record<string, string>>, values: Readonly<Record<string, string>> = {}) {
    super();
    this.#fixed = new Map(Object.entries(fixed));
    this.#values = new Map(Object.entries(values));
  }

  /** Undefined for what is not there. */
  get(key: string): string | undefined {
    return this.#fixed.get(key) ?? this.#values.get(key);
  }

  /** Without the fixed ones, as the SmartOS agent has it. */
  keys(): string[] {
    return [...this.#values.keys()];
  }

  /** Listeners of `put` have run when it returns. */
  put(key: string, value: string): void {
    refuseFixed(key);
    if (Buffer.byteLength(key) > metadataLimits.keyBytes)
      throw new MetadataRefusal(`The key is longer than ${metadataLimits.keyBytes} bytes`);
    if (Buffer.byteLength(value) > metadataLimits.valueBytes)
      throw new MetadataRefusal(`The value is longer than ${metadataLimits.valueBytes} bytes`);
    if (!this.#values.has(key) && this.#values.size >= metadataLimits.keys)
      throw new MetadataRefusal(`There are ${metadataLimits.keys} keys already`);
    this.#values.set(key, value);
    this.emit('put', key, value);
  }

  /** Nothing there is fine. */
  delete(key: string): void {
    refuseFixed(key);
    this.#values.delete(key);
  }
}

function refuseFixed(key: string): void {
  if (key.startsWith('sdc:')) throw new MetadataRefusal('Cannot update the "sdc" Namespace.');
}
