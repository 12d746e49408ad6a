/** Makes ZFS send streams of our own: volumes and file systems of any size, and such as no ZFS would make. */
import {StreamWriter} from '../../src/formats/zfs-stream/stream-writer.ts';
import {fletcher4} from '../../src/sys/fletcher4.ts';

const microEntryBytes = 64;
const fatBlockBytes = 16_384;
const toTheEnd = 2n ** 64n - 1n;
const noBytes = Buffer.alloc(0);

export const types = {dir: 20, file: 19, master: 21, table: 45, volume: 23, properties: 24} as const;
const attributesType = 44;
export const rootObject = 5;

const attributes: [name: string, bytes: number][] = [
  ['ZPL_MODE', 8],
  ['ZPL_SIZE', 8],
  ['ZPL_GEN', 8],
  ['ZPL_UID', 8],
  ['ZPL_GID', 8],
  ['ZPL_PARENT', 8],
  ['ZPL_FLAGS', 8],
  ['ZPL_ATIME', 16],
  ['ZPL_MTIME', 16],
  ['ZPL_CTIME', 16],
  ['ZPL_CRTIME', 16],
  ['ZPL_LINKS', 8],
];

/** A table of names in one block. */
export function microZap(
  entries: Iterable<readonly [name: string | Buffer, value: bigint | number]>,
): Buffer {
  const list = [...entries];
  const size = Math.max(512, Math.ceil(((list.length + 1) * microEntryBytes) / 512) * 512);
  const block = Buffer.alloc(size);
  block.writeBigUInt64LE(0x8000000000000003n, 0);
  for (const [index, [name, value]] of list.entries()) {
    const at = (index + 1) * microEntryBytes;
    block.writeBigUInt64LE(BigInt(value), at);
    Buffer.from(name as string).copy(block, at + 14, 0, 49);
  }
  return block;
}

export interface FatEntry {
  name: Buffer;
  value: Buffer;
  integerBytes: number;
}

/** A table in two blocks of 16 KiB: what it says of itself, and one leaf. */
export function fatZap(entries: readonly FatEntry[]): Buffer {
  const block = Buffer.alloc(2 * fatBlockBytes);
  block.writeBigUInt64LE(0x8000000000000001n, 0);
  block.writeBigUInt64LE(0x2f52ab2abn, 8);
  block.writeBigUInt64LE(BigInt(entries.length), 72);
  const leaf = block.subarray(fatBlockBytes);
  leaf.writeBigUInt64LE(0x8000000000000000n, 0);
  leaf.writeUInt32LE(0x2ab1eaf, 24);
  const chunks = leaf.subarray(48 + fatBlockBytes / 16);
  let next = 0;
  const chain = (bytes: Buffer): number => {
    const first = next;
    for (let at = 0; at < bytes.length; at += 21) {
      const chunk = chunks.subarray(next * 24, ++next * 24);
      chunk[0] = 251;
      bytes.copy(chunk, 1, at, at + 21);
      chunk.writeUInt16LE(at + 21 < bytes.length ? next : 0xffff, 22);
    }
    return first;
  };
  for (const {name, value, integerBytes} of entries) {
    const terminated = Buffer.concat([name, Buffer.from([0])]);
    const [nameAt, valueAt] = [chain(terminated), chain(value)];
    const chunk = chunks.subarray(next * 24, ++next * 24);
    chunk[0] = 252;
    chunk[1] = integerBytes;
    chunk.writeUInt16LE(nameAt, 4);
    chunk.writeUInt16LE(terminated.length, 6);
    chunk.writeUInt16LE(valueAt, 8);
    chunk.writeUInt16LE(value.length / integerBytes, 10);
  }
  return block;
}

/** The attributes of a file, packed. */
export function packAttributes(file: {
  mode: number;
  size?: number;
  links?: number;
  mtimeSeconds?: number;
}): Buffer {
  const {mode, size = 0, links = 1, mtimeSeconds = 1_700_000_000} = file;
  const values: Record<string, bigint> = {
    ZPL_MODE: BigInt(mode),
    ZPL_SIZE: BigInt(size),
    ZPL_GEN: 7n,
    ZPL_FLAGS: 4n,
    ZPL_MTIME: BigInt(mtimeSeconds),
    ZPL_LINKS: BigInt(links),
  };
  const bonus = Buffer.alloc(8 + attributes.reduce((sum, [, bytes]) => sum + bytes, 0));
  bonus.writeUInt32LE(0x2f505a, 0);
  bonus.writeUInt16LE((1 << 10) | 2, 4);
  let at = 8;
  for (const [name, bytes] of attributes) {
    bonus.writeBigUInt64LE(values[name] ?? 0n, at);
    at += bytes;
  }
  return bonus;
}

export class TestStream extends StreamWriter {
  constructor() {
    super(fletcher4);
  }

  /** A record with nothing in it but its type and a right checksum. */
  ofType(type: number): Buffer {
    const header = Buffer.alloc(312);
    header.writeUInt32LE(type, 0);
    return this.sealed(header, noBytes);
  }

  /** An object with attributes, and its contents in one block. */
  node(object: number, type: number, bonus: Buffer, contents: Buffer = noBytes): Buffer {
    const size = Math.max(512, Math.ceil(contents.length / 512) * 512);
    const bonusType = bonus.length > 0 ? attributesType : 0;
    const described = this.object({
      object,
      type,
      bonusType,
      blockSize: type === types.dir || type === types.file ? size : Math.min(size, fatBlockBytes),
      slots: 1,
      bonus,
      hasSpill: false,
    });
    const freed = this.free(object, size, toTheEnd);
    if (contents.length === 0) return Buffer.concat([described, freed]);
    if (size <= fatBlockBytes || type === types.dir || type === types.file)
      return Buffer.concat([described, freed, this.write(object, 0, Buffer.concat([contents], size))]);
    const blocks: Buffer[] = [];
    for (let at = 0; at < contents.length; at += fatBlockBytes)
      blocks.push(this.write(object, at, contents.subarray(at, at + fatBlockBytes)));
    return Buffer.concat([described, freed, ...blocks]);
  }

  /** Everything a file system has before its first directory, which is object `rootObject`. */
  fileSystem(root = rootObject): Buffer {
    const numbers = attributes.map((_, index) => index);
    const layout = Buffer.alloc(numbers.length * 2);
    for (const number of numbers) layout.writeUInt16BE(number, number * 2);
    const registry = attributes.map(
      ([name, bytes], number) => [name, (BigInt(bytes) << 24n) | BigInt(number)] as const,
    );
    const layouts = fatZap([{name: Buffer.from('2'), value: layout, integerBytes: 2}]);
    return Buffer.concat([
      this.begin({kind: 'file system', guid: '4711', name: 'test/fs@final'}),
      this.node(
        1,
        types.master,
        noBytes,
        microZap([
          ['ROOT', root],
          ['VERSION', 5],
          ['SA_ATTRS', 2],
        ]),
      ),
      this.node(
        2,
        types.table,
        noBytes,
        microZap([
          ['REGISTRY', 3],
          ['LAYOUTS', 4],
        ]),
      ),
      this.node(3, types.table, noBytes, microZap(registry)),
      this.node(4, types.table, noBytes, layouts),
    ]);
  }
}

/** What a directory says of an entry. */
export function entryOf(object: number, kind: 'file' | 'dir'): bigint {
  return (BigInt(kind === 'dir' ? 4 : 8) << 60n) | BigInt(object);
}

const perDirectory = 1000;

/** A file system of `count` files in directories of a thousand, each file `bytes` long. */
export function* manyFiles(count: number, bytes: number): Generator<Buffer> {
  const stream = new TestStream();
  yield stream.fileSystem();
  const directories: [string, bigint][] = [];
  let object = rootObject + 1;
  for (let start = 0; start < count; start += perDirectory) {
    const names: [string, bigint][] = [];
    for (let index = start; index < Math.min(start + perDirectory, count); index++, object++) {
      const contents = Buffer.alloc(bytes, `file ${index} `);
      yield stream.node(object, types.file, packAttributes({mode: 0o100644, size: bytes}), contents);
      names.push([`file-${index}`, entryOf(object, 'file')]);
    }
    yield stream.node(object, types.dir, packAttributes({mode: 0o040755, links: 2}), microZap(names));
    directories.push([`dir-${start}`, entryOf(object++, 'dir')]);
  }
  yield stream.node(rootObject, types.dir, packAttributes({mode: 0o040755, links: 2}), microZap(directories));
  yield stream.end();
}

/** A volume of `size` bytes whose every block is `block`, changed a little each time. */
export function* largeVolume(size: number, blockBytes: number): Generator<Buffer> {
  const stream = new TestStream();
  yield stream.begin({kind: 'volume', guid: '4712', name: 'test/vol@final'});
  yield stream.object({
    object: 1,
    type: types.volume,
    bonusType: 0,
    blockSize: blockBytes,
    slots: 1,
    bonus: noBytes,
    hasSpill: false,
  });
  const block = Buffer.alloc(blockBytes);
  for (let at = 0; at < blockBytes; at++) block[at] = (at * 131 + (at >> 8)) & 255;
  for (let at = 0; at < size; at += blockBytes) {
    block.writeUInt32LE(at / blockBytes, 0);
    yield stream.write(1, at, block);
  }
  yield stream.node(2, types.properties, noBytes, microZap([['size', size]]));
  yield stream.end();
}
