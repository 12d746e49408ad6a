/** Name-value lists in XDR form (spec/zfs-send-stream.md §7), as far as attributes of files need them. */
import {invalidStream} from './zfs-errors.ts';

const xdr = 1;
const headerBytes = 12;
const byteArray = 10;
/** Both sizes, the length of the name, the type and the count. */
const pairBytes = 20;

/** The byte arrays of a list, by name; values of other types are skipped. */
export function readByteArrays(list: Buffer): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  if (list.length < headerBytes || list[0] !== xdr) throw invalid('it is not in XDR form');
  for (let at = headerBytes; ; ) {
    if (at + 8 > list.length) throw invalid('it has no end');
    const size = list.readUInt32BE(at);
    if (size === 0) return found;
    if (size < pairBytes || at + size > list.length) throw invalid('a pair goes beyond it');
    const pair = list.subarray(at, at + size);
    const nameLength = pair.readUInt32BE(8);
    const typeAt = 12 + padded(nameLength);
    if (typeAt + 8 > size) throw invalid('a name goes beyond its pair');
    const name = pair.toString('utf8', 12, 12 + nameLength);
    const count = pair.readUInt32BE(typeAt + 4);
    if (pair.readUInt32BE(typeAt) === byteArray) {
      if (typeAt + 8 + count > size) throw invalid(`the value of "${name}" goes beyond its pair`);
      found.set(name, pair.subarray(typeAt + 8, typeAt + 8 + count));
    }
    at += size;
  }
}

function padded(length: number): number {
  return Math.ceil(length / 4) * 4;
}

function invalid(reason: string) {
  return invalidStream(`a list of extended attributes is damaged: ${reason}`);
}
