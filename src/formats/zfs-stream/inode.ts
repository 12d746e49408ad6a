/** What is known of one file, directory or link, from system attributes or from the old form (§6.3 to §6.5). */
import type {Dataset} from './dataset.ts';
import {readUint64} from './fields.ts';
import {bonusOf, getObject, spillOf} from './objects-view.ts';
import type {SystemAttributes} from './system-attributes.ts';
import {invalidStream} from './zfs-errors.ts';
import type {ZfsObject} from './zfs-object.ts';

export interface Inode {
  /** With the bits of the type. */
  mode: number;
  uid: number;
  gid: number;
  /** An owner is one of a domain, whose number means nothing here. */
  hasForeignOwner: boolean;
  /** There is more to the access than the mode says. */
  hasAcl: boolean;
  mtimeNs: bigint;
  size: number;
  links: number;
  major: number;
  minor: number;
  /** Target of a symbolic link, where it is not in the contents. */
  target: Buffer | undefined;
  /** Object of the directory of extended attributes; 0 without one. */
  xattrDirectory: number;
  /** Extended attributes as a list. */
  xattrList: Buffer | undefined;
}

const oldZnode = 17;
const oldZnodeBytes = 264;
const trivialAcl = 4;
const idMask = 0xffffffff;

export function readInode(dataset: Dataset, number: number, attributes: SystemAttributes | undefined): Inode {
  const object = getObject(dataset, number, 'what an entry of a directory names');
  // A file system that was upgraded has both forms.
  if (object.bonusType === oldZnode) return fromOldZnode(bonusOf(dataset, object), number);
  if (!attributes) throw invalidStream(`object ${number} has system attributes, and there are no layouts`);
  return fromAttributes(dataset, object, number, attributes);
}

function fromAttributes(
  dataset: Dataset,
  object: ZfsObject,
  number: number,
  layouts: SystemAttributes,
): Inode {
  const found = new Map<string, Buffer>();
  layouts.parse(bonusOf(dataset, object), found);
  const spill = spillOf(dataset, object);
  if (spill) layouts.parse(spill, found);
  const get = (name: string): Buffer | undefined => {
    const value = found.get(name);
    return value && value.length >= 8 ? value : undefined;
  };
  const need = (name: string): Buffer => {
    const value = get(name);
    if (!value) throw invalidStream(`object ${number} has no ${name}`);
    return value;
  };
  const mtime = need('ZPL_MTIME');
  if (mtime.length < 16) throw invalidStream(`object ${number} has no whole time`);
  return {
    ...ownersOf(need('ZPL_UID'), need('ZPL_GID')),
    ...deviceOf(get('ZPL_RDEV')),
    mode: readUint64(need('ZPL_MODE'), 0),
    hasAcl: hasAcl(get('ZPL_FLAGS')),
    mtimeNs: timeOf(mtime),
    size: sizeOf(need('ZPL_SIZE'), number),
    links: readUint64(need('ZPL_LINKS'), 0),
    target: found.get('ZPL_SYMLINK'),
    xattrDirectory: numberOr0(get('ZPL_XATTR')),
    xattrList: found.get('ZPL_DXATTR'),
  };
}

function fromOldZnode(bonus: Buffer, number: number): Inode {
  if (bonus.length < oldZnodeBytes) throw invalidStream(`object ${number} has no whole description`);
  const field = (at: number) => bonus.subarray(at, at + 8);
  const size = sizeOf(field(80), number);
  return {
    ...ownersOf(field(128), field(136)),
    ...deviceOf(field(112)),
    mode: readUint64(bonus, 72),
    hasAcl: hasAcl(field(120)),
    mtimeNs: timeOf(bonus.subarray(16, 32)),
    size,
    links: readUint64(bonus, 96),
    target:
      oldZnodeBytes + size <= bonus.length ? bonus.subarray(oldZnodeBytes, oldZnodeBytes + size) : undefined,
    xattrDirectory: readUint64(bonus, 104),
    xattrList: undefined,
  };
}

function ownersOf(uid: Buffer, gid: Buffer): Pick<Inode, 'uid' | 'gid' | 'hasForeignOwner'> {
  const isForeign = (id: Buffer) => readUint64(id, 0) > idMask;
  return {
    uid: uid.readUInt32LE(0),
    gid: gid.readUInt32LE(0),
    hasForeignOwner: isForeign(uid) || isForeign(gid),
  };
}

/** Linux keeps its own number there, others both parts in 32 bits each. */
function deviceOf(rdev: Buffer | undefined): Pick<Inode, 'major' | 'minor'> {
  if (!rdev) return {major: 0, minor: 0};
  const [low, high] = [rdev.readUInt32LE(0), rdev.readUInt32LE(4)];
  return high === 0 ? {major: low >>> 20, minor: low & 0xfffff} : {major: high, minor: low};
}

function hasAcl(flags: Buffer | undefined): boolean {
  return flags !== undefined && (flags.readUInt32LE(0) & trivialAcl) === 0;
}

function timeOf(words: Buffer): bigint {
  return words.readBigInt64LE(0) * 1_000_000_000n + words.readBigInt64LE(8);
}

function sizeOf(field: Buffer, number: number): number {
  const size = readUint64(field, 0);
  if (!Number.isSafeInteger(size)) throw invalidStream(`object ${number} has a size of ${size} bytes`);
  return size;
}

function numberOr0(field: Buffer | undefined): number {
  return field ? readUint64(field, 0) : 0;
}
