/** Attributes of files as ZFS version 5 packs them: by layouts that every dataset numbers for itself (§6.3). */
import type {Dataset} from './dataset.ts';
import {zapEntries, zapNumbers} from './objects-view.ts';
import {invalidStream} from './zfs-errors.ts';
import {attributesMagic} from './zfs-object.ts';

interface Attribute {
  name: string;
  /** 0: every buffer tells its own. */
  length: number;
}

const masterObject = 1;
const maxLayoutAttributes = 256;
const lengthsAt = 6;

export class SystemAttributes {
  readonly #attributes = new Map<number, Attribute>();
  readonly #layouts = new Map<number, number[]>();

  /** Of a dataset whose stream was applied to its end; undefined for file systems that have none. */
  static read(dataset: Dataset): SystemAttributes | undefined {
    const master = zapNumbers(dataset, masterObject, 'the master node').get('SA_ATTRS');
    if (!master) return undefined;
    const tables = zapNumbers(dataset, master, 'the master of system attributes');
    return new SystemAttributes(dataset, tables.get('REGISTRY') ?? 0, tables.get('LAYOUTS') ?? 0);
  }

  private constructor(dataset: Dataset, registry: number, layouts: number) {
    for (const {name, value} of zapEntries(dataset, registry, 'the registry of system attributes')) {
      if (value.length !== 8)
        throw invalidStream('the registry of system attributes has a value of no number');
      this.#attributes.set(value.readUInt16BE(6), {name: name.toString(), length: value.readUInt16BE(3)});
    }
    for (const {name, value, integerBytes} of zapEntries(
      dataset,
      layouts,
      'the layouts of system attributes',
    )) {
      const count = value.length / 2;
      if (integerBytes !== 2 || count > maxLayoutAttributes)
        throw invalidStream(`layout "${name}" of system attributes is not valid`);
      this.#layouts.set(
        Number(name),
        Array.from({length: count}, (_, index) => value.readUInt16BE(index * 2)),
      );
    }
  }

  /** Adds what a bonus or spill buffer holds to `found`. */
  parse(buffer: Buffer, found: Map<string, Buffer>): void {
    if (buffer.length < 8 || buffer.readUInt32LE(0) !== attributesMagic)
      throw invalidStream('a buffer of system attributes has no magic');
    const word = buffer.readUInt16LE(4);
    const headerBytes = (word >>> 10) * 8;
    const layout = this.#layouts.get(word & 0x3ff);
    if (!layout) throw invalidStream(`layout ${word & 0x3ff} of system attributes is missing`);
    let at = headerBytes;
    let lengthAt = lengthsAt;
    for (const number of layout) {
      const attribute = this.#attributes.get(number);
      if (!attribute) throw invalidStream(`system attribute ${number} is missing`);
      let {length} = attribute;
      if (length === 0) {
        if (lengthAt + 2 > headerBytes || lengthAt + 2 > buffer.length) throw beyond(attribute);
        length = buffer.readUInt16LE(lengthAt);
        lengthAt += 2;
      }
      if (at + length > buffer.length) throw beyond(attribute);
      found.set(attribute.name, buffer.subarray(at, at + length));
      at = Math.ceil((at + length) / 8) * 8;
    }
  }
}

function beyond({name}: Attribute) {
  return invalidStream(`system attribute "${name}" goes beyond its buffer`);
}
