/** Makes records that a `RecordReader` takes apart again (spec/zfs-send-stream.md §1, §2). Payloads are not compressed. */

import {headerBytes} from './record.ts';
import {checksumBytes, type Fletcher4, summedBytes} from './record-reader.ts';

export interface NewBegin {
  kind: 'file system' | 'volume';
  guid: string;
  fromGuid?: string | undefined;
  name: string;
  payload?: Buffer;
}

export interface NewObject {
  object: number;
  type: number;
  bonusType: number;
  blockSize: number;
  slots: number;
  bonus: Buffer;
  hasSpill: boolean;
}

const types = {begin: 0, object: 1, freeObjects: 2, write: 3, free: 4, end: 5, spill: 7} as const;
const magic = 0x2f5bacbacn;
/** Spill blocks, large blocks, large dnodes: whatever may come. */
const features = (1n << 2n) | (1n << 19n) | (1n << 23n);
const spillFlags = 8;
const hasSpillFlag = 4;
const kinds = {'file system': 2, volume: 3} as const;

export class StreamWriter {
  readonly #fletcher4: Fletcher4;
  readonly #state = Buffer.alloc(checksumBytes);

  constructor(fletcher4: Fletcher4) {
    this.#fletcher4 = fletcher4;
  }

  begin({kind, guid, fromGuid = '0', name, payload = Buffer.alloc(0)}: NewBegin): Buffer {
    this.#state.fill(0);
    const header = headerOf(types.begin);
    const padded = paddedTo8(payload);
    header.writeUInt32LE(padded.length, 4);
    header.writeBigUInt64LE(magic, 8);
    header.writeBigUInt64LE((features << 2n) | 1n, 16);
    header.writeUInt32LE(kinds[kind], 32);
    header.writeUInt32LE(spillFlags, 36);
    header.writeBigUInt64LE(BigInt(guid), 40);
    header.writeBigUInt64LE(BigInt(fromGuid), 48);
    header.write(name.slice(0, 200), 56);
    this.#fletcher4(this.#state, header);
    this.#fletcher4(this.#state, padded);
    return Buffer.concat([header, padded]);
  }

  object({object, type, bonusType, blockSize, slots, bonus, hasSpill}: NewObject): Buffer {
    const header = headerOf(types.object);
    writeUint64(header, object, 8);
    header.writeUInt32LE(type, 16);
    header.writeUInt32LE(bonusType, 20);
    header.writeUInt32LE(blockSize, 24);
    header.writeUInt32LE(bonus.length, 28);
    header.writeUInt8(slots, 34);
    header.writeUInt8(hasSpill ? hasSpillFlag : 0, 35);
    return this.sealed(header, paddedTo8(bonus));
  }

  write(object: number, offset: number, bytes: Buffer): Buffer {
    const header = headerOf(types.write);
    writeUint64(header, object, 8);
    writeUint64(header, offset, 24);
    writeUint64(header, bytes.length, 32);
    return this.sealed(header, bytes);
  }

  spill(object: number, bytes: Buffer): Buffer {
    const header = headerOf(types.spill);
    writeUint64(header, object, 8);
    writeUint64(header, bytes.length, 16);
    return this.sealed(header, bytes);
  }

  free(object: number, offset: number, length: bigint): Buffer {
    const header = headerOf(types.free);
    writeUint64(header, object, 8);
    writeUint64(header, offset, 16);
    header.writeBigUInt64LE(length, 24);
    return this.sealed(header, Buffer.alloc(0));
  }

  freeObjects(first: number, count: number): Buffer {
    const header = headerOf(types.freeObjects);
    writeUint64(header, first, 8);
    writeUint64(header, count, 16);
    return this.sealed(header, Buffer.alloc(0));
  }

  end(): Buffer {
    const header = headerOf(types.end);
    this.#state.copy(header, 8);
    return this.sealed(header, Buffer.alloc(0));
  }

  protected sealed(header: Buffer, payload: Buffer): Buffer {
    this.#fletcher4(this.#state, header.subarray(0, summedBytes));
    this.#state.copy(header, summedBytes);
    this.#fletcher4(this.#state, header.subarray(summedBytes));
    this.#fletcher4(this.#state, payload);
    return payload.length === 0 ? header : Buffer.concat([header, payload]);
  }
}

function headerOf(type: number): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(type, 0);
  return header;
}

function writeUint64(header: Buffer, value: number, at: number): void {
  header.writeBigUInt64LE(BigInt(value), at);
}

function paddedTo8(bytes: Buffer): Buffer {
  return bytes.length % 8 === 0 ? bytes : Buffer.concat([bytes], Math.ceil(bytes.length / 8) * 8);
}
