/** Extended attributes of files, from both places where ZFS keeps them (spec/zfs-send-stream.md §6.6). */
import type {Dataset} from './dataset.ts';
import {type Inode, readInode} from './inode.ts';
import {readByteArrays} from './nvlist.ts';
import {getObject, zapEntries} from './objects-view.ts';
import type {SystemAttributes} from './system-attributes.ts';
import {invalidStream} from './zfs-errors.ts';

/** The first `size` bytes of what is in a file. */
export type ReadContents = (object: number, size: number) => Buffer;

/** XATTR_SIZE_MAX: Linux cannot store more. */
const largestValue = 65536;
const namespaces = ['user.', 'trusted.', 'security.', 'system.'];
/** Views of other attributes, on illumos. */
const systemView = /^SUNWattr_r[ow]$/;

export class XattrReader {
  readonly #dataset: Dataset;
  readonly #readContents: ReadContents;

  constructor(dataset: Dataset, readContents: ReadContents) {
    this.#dataset = dataset;
    this.#readContents = readContents;
  }

  /** By full name. Where both places have a name, the list counts. */
  read(
    owner: number,
    {xattrDirectory, xattrList}: Inode,
    attributes: SystemAttributes | undefined,
  ): Map<string, Buffer> {
    const found = new Map<string, Buffer>();
    if (xattrDirectory !== 0) {
      this.#reach(xattrDirectory, 'a directory of extended attributes');
      for (const {name, value} of zapEntries(this.#dataset, xattrDirectory, 'extended attributes')) {
        if (value.length !== 8)
          throw invalidStream(`object ${owner} has an extended attribute without object`);
        const text = name.toString();
        const object = value.readUIntBE(2, 6);
        if (!systemView.test(text)) found.set(fullName(text), this.#value(object, text, attributes));
      }
    }
    if (xattrList) for (const [name, value] of readByteArrays(xattrList)) found.set(fullName(name), value);
    return found;
  }

  /** One that is too large is cut where Linux refuses it all the same, so that it is counted as lost. */
  #value(number: number, name: string, attributes: SystemAttributes | undefined): Buffer {
    const {size} = readInode(this.#dataset, number, attributes);
    this.#reach(number, `extended attribute "${name}"`);
    return this.#readContents(number, Math.min(size, largestValue + 1));
  }

  /** Each has one owner; otherwise a few could stand for very many. */
  #reach(number: number, what: string): void {
    const object = getObject(this.#dataset, number, what);
    if (object.isReached) throw invalidStream(`${what} (object ${number}) is of several files`);
    object.isReached = true;
  }
}

/** Names without namespace are of systems that have none. */
function fullName(name: string): string {
  return namespaces.some((namespace) => name.startsWith(namespace)) ? name : `user.${name}`;
}
