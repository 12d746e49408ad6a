/**
 * What others make this process read: every message on the bus is its sender's choice, up to the bus's own limit, and one
 * that the connection refused would end it, and with it a service and its transfers. So bodies of calls and signals are
 * kept back for `plain-values.ts`, and a message that is too long loses its body and its long header fields and is marked,
 * so that its caller can be told. Replies pass as they are (D-Bus specification, "Message Format").
 */

import type {RawBody} from './plain-values.ts';

/** A flag of the header that the protocol leaves free. */
const cutFlag = 0x80;

const fixedBytes = 16;
const typeAt = 1;
const flagsAt = 2;
const bodyLengthAt = 4;
const fieldsLengthAt = 12;
/** Method calls and signals. */
const unaskedTypes: readonly (number | undefined)[] = [1, 4];
/** What stays of a long message: names, numbers, short paths. */
const longestKeptField = 1024;

/** Whether a message with these flags has come without what made it too long. */
export function isCut(flags: number | undefined): boolean {
  return ((flags ?? 0) & cutFlag) !== 0;
}

export class MessageGate {
  readonly #maxBytes: number;
  /** Bytes of a header that is not complete, and how many it takes to look at it again. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #wantedBytes = 0;
  /** Bytes of the message that go through, or away, before the next header. */
  #passing = 0;
  #dropping = 0;
  readonly #bodies: RawBody[] = [];

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes bytes as they arrive, from the beginning of a message on; returns those to read. */
  take(chunk: Buffer): Buffer {
    this.#hold(chunk);
    if (this.#heldBytes < this.#wantedBytes) return Buffer.alloc(0);
    const found: Buffer[] = [];
    let rest = this.#release();
    while (rest.length > 0) {
      if (this.#passing === 0 && this.#dropping === 0) {
        const header = this.#begin(rest);
        if (!header) {
          this.#hold(rest);
          break;
        }
        found.push(header.bytes);
        rest = rest.subarray(header.used);
      }
      const passed = Math.min(this.#passing, rest.length);
      found.push(rest.subarray(0, passed));
      this.#passing -= passed;
      const dropped = Math.min(this.#dropping, rest.length - passed);
      this.#dropping -= dropped;
      rest = rest.subarray(passed + dropped);
    }
    return found.length === 1 && found[0] ? found[0] : Buffer.concat(found);
  }

  /** The body of the next call or signal that is read; once for each, in their order. */
  takeBody(): RawBody {
    return this.#bodies.shift() ?? {bytes: Buffer.alloc(0), isLittle: true};
  }

  #hold(bytes: Buffer): void {
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
  }

  #release(): Buffer {
    const [first = Buffer.alloc(0), ...others] = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    this.#wantedBytes = 0;
    return others.length === 0 ? first : Buffer.concat([first, ...others]);
  }

  /** Undefined until enough is there. What is no header is left to the reader, who refuses it. */
  #begin(bytes: Buffer): {bytes: Buffer; used: number} | undefined {
    if (bytes.length < fixedBytes) return this.#want(fixedBytes);
    const isLittle = bytes[0] === 0x6c;
    const fieldsBytes = numberAt(bytes, fieldsLengthAt, isLittle);
    const headerBytes = fixedBytes + align(fieldsBytes, 8);
    const bodyBytes = numberAt(bytes, bodyLengthAt, isLittle);
    const total = headerBytes + bodyBytes;
    const isTooLong = total > this.#maxBytes;
    const isUnasked = unaskedTypes.includes(bytes[typeAt]);
    if (!isTooLong && !isUnasked) {
      this.#passing = total - fixedBytes;
      return {bytes: bytes.subarray(0, fixedBytes), used: fixedBytes};
    }
    const used = isTooLong ? headerBytes : total;
    if (bytes.length < used) return this.#want(used);
    if (isUnasked) this.#bodies.push({bytes: Buffer.from(bytes.subarray(headerBytes, used)), isLittle});
    this.#dropping = total - used;
    if (isTooLong) return {bytes: cutMessage(bytes.subarray(0, fixedBytes + fieldsBytes), isLittle), used};
    const header = Buffer.from(bytes.subarray(0, headerBytes));
    setNumber(header, bodyLengthAt, 0, isLittle);
    return {bytes: header, used};
  }

  #want(bytes: number): undefined {
    this.#wantedBytes = bytes;
    return undefined;
  }
}

/** The message without its body and without fields that are long. */
function cutMessage(header: Buffer, isLittle: boolean): Buffer {
  const kept: Buffer[] = [];
  let fieldsBytes = 0;
  let length = 0;
  for (let at = fixedBytes; at < header.length; ) {
    const end = fieldEnd(header, at, isLittle);
    const next = align(end, 8);
    if (end - at <= longestKeptField && end <= header.length) {
      const padded = Buffer.alloc(next - at);
      header.copy(padded, 0, at, end);
      kept.push(padded);
      fieldsBytes = length + end - at;
      length += next - at;
    }
    at = next;
  }
  const fixed = Buffer.from(header.subarray(0, fixedBytes));
  fixed[flagsAt] = (fixed[flagsAt] ?? 0) | cutFlag;
  setNumber(fixed, bodyLengthAt, 0, isLittle);
  setNumber(fixed, fieldsLengthAt, fieldsBytes, isLittle);
  return Buffer.concat([fixed, ...kept]);
}

/** Where a field of the header ends: a code, a signature of one type, and a number or a text. */
function fieldEnd(header: Buffer, at: number, isLittle: boolean): number {
  const signatureLength = header[at + 1] ?? 0;
  const type = String.fromCharCode(header[at + 2] ?? 0);
  const valueAt = at + 2 + signatureLength + 1;
  if (signatureLength !== 1) return header.length;
  if (type === 'g') return valueAt + 1 + (header[valueAt] ?? 0) + 1;
  const numberStart = align(valueAt, 4);
  if (type === 'u') return numberStart + 4;
  if ((type !== 's' && type !== 'o') || numberStart + 4 > header.length) return header.length;
  return numberStart + 4 + numberAt(header, numberStart, isLittle) + 1;
}

function align(at: number, bytes: number): number {
  return Math.ceil(at / bytes) * bytes;
}

function numberAt(bytes: Buffer, at: number, isLittle: boolean): number {
  return isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
}

function setNumber(bytes: Buffer, at: number, value: number, isLittle: boolean): void {
  if (isLittle) bytes.writeUInt32LE(value, at);
  else bytes.writeUInt32BE(value, at);
}
