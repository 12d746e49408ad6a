/**
 * Reads the body of a call or a signal that anybody may have sent: plain values and variants of them, which is all that
 * we are sent. Not every bus looks at bodies before it delivers them, so each length and text is checked here, and a body
 * that is wrong is the sender's error, not the connection's end (D-Bus specification, "Marshaling").
 */

import type {Message} from 'dbus-native';
import {BusError, busErrorNames} from './bus-error.ts';
import type {BusSignal, VariantShape} from './bus-messages.ts';

/** A body as it came. */
export interface RawBody {
  bytes: Buffer;
  isLittle: boolean;
}

/** Throws a BusError for a body that does not fit the signature; nothing is read of one that has containers. */
export function readPlainValues(body: RawBody, signature: string, variants: VariantShape): unknown[] {
  if (!isPlainSignature(signature)) return [];
  const reader = new PlainReader(body, variants);
  const values = [...signature].map((type) => reader.read(type));
  if (!reader.isAtEnd) throw malformed();
  return values;
}

function isPlainSignature(signature: string): boolean {
  return /^[ybnqiuhxtdsogv]*$/.test(signature);
}

/** Undefined when its body is malformed: nobody can be told. */
export function signalOf(message: Message, raw: RawBody, variants: VariantShape): BusSignal | undefined {
  const {sender = '', path = '', member = '', signature = ''} = message;
  try {
    const body = readPlainValues(raw, signature, variants);
    return {sender, path, interface: message.interface ?? '', member, signature, body};
  } catch {
    return undefined;
  }
}

const decoder = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});

class PlainReader {
  readonly #view: DataView;
  readonly #isLittle: boolean;
  readonly #variants: VariantShape;
  #at = 0;

  constructor({bytes, isLittle}: RawBody, variants: VariantShape) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#isLittle = isLittle;
    this.#variants = variants;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#view.byteLength;
  }

  read(type: string): unknown {
    const [view, isLittle] = [this.#view, this.#isLittle];
    if (type === 'y') return view.getUint8(this.#take(1));
    if (type === 'b') return this.#boolean();
    if (type === 'n') return view.getInt16(this.#take(2), isLittle);
    if (type === 'q') return view.getUint16(this.#take(2), isLittle);
    if (type === 'i') return view.getInt32(this.#take(4), isLittle);
    if (type === 'u' || type === 'h') return view.getUint32(this.#take(4), isLittle);
    if (type === 'x') return view.getBigInt64(this.#take(8), isLittle);
    if (type === 't') return view.getBigUint64(this.#take(8), isLittle);
    if (type === 'd') return view.getFloat64(this.#take(8), isLittle);
    if (type === 's' || type === 'o') return this.#text(view.getUint32(this.#take(4), isLittle));
    if (type === 'g') return this.#text(view.getUint8(this.#take(1)));
    if (type === 'v') return this.#variant();
    throw malformed();
  }

  #boolean(): boolean {
    const value = this.#view.getUint32(this.#take(4), this.#isLittle);
    if (value > 1) throw malformed();
    return value === 1;
  }

  /** Text is followed by a NUL and holds none. */
  #text(length: number): string {
    const start = this.#take(length, 1);
    if (this.#view.getUint8(this.#take(1)) !== 0) throw malformed();
    const text = decode(new Uint8Array(this.#view.buffer, this.#view.byteOffset + start, length));
    if (text.includes('\0')) throw malformed();
    return text;
  }

  #variant(): unknown {
    const signature = this.#text(this.#view.getUint8(this.#take(1)));
    const isPlain = signature.length === 1 && signature !== 'v' && isPlainSignature(signature);
    // What else it holds is for nobody here, and it comes last.
    if (!isPlain) this.#at = this.#view.byteLength;
    const value = isPlain ? this.read(signature) : undefined;
    return this.#variants === 'wrap' ? {signature, value} : value;
  }

  /** The place of the next value of so many bytes, aligned to its own size. */
  #take(length: number, alignment = length): number {
    const start = Math.ceil(this.#at / alignment) * alignment;
    if (start + length > this.#view.byteLength) throw malformed();
    this.#at = start + length;
    return start;
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw malformed();
  }
}

function malformed(): BusError {
  return new BusError(busErrorNames.invalidArgs, 'Invalid message body');
}
