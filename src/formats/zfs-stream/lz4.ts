const minMatch = 4;

/** Unpacks a bare LZ4 block of at most `size` bytes; fails on every reference to what is not there. */
export function unpackLz4(bytes: Buffer, size: number): Buffer {
  const out = Buffer.allocUnsafe(size);
  let from = 0;
  let to = 0;
  const extend = (length: number) => {
    if (length < 15) return length;
    for (let byte = 255; byte === 255; length += byte) byte = byteAt(bytes, from++);
    return length;
  };
  while (from < bytes.length) {
    const token = byteAt(bytes, from++);
    const literals = extend(token >>> 4);
    if (literals > bytes.length - from || literals > size - to)
      throw new Error('literals go beyond the block');
    bytes.copy(out, to, from, from + literals);
    from += literals;
    to += literals;
    if (from === bytes.length) return out.subarray(0, to);
    const distance = byteAt(bytes, from++) | (byteAt(bytes, from++) << 8);
    const length = extend(token & 15) + minMatch;
    if (distance === 0 || distance > to || length > size - to)
      throw new Error('a match goes beyond the block');
    copyMatch(out, {to, distance, length});
    to += length;
  }
  return out.subarray(0, to);
}

/** Copies from what was just written, which may overlap what is written now. */
export function copyMatch(out: Buffer, match: {to: number; distance: number; length: number}): void {
  const {to, distance, length} = match;
  const start = to - distance;
  // What is there repeats itself, so every round may copy twice as much.
  for (let done = 0; done < length; ) {
    const part = Math.min(length - done, distance + done);
    out.copyWithin(to + done, start, start + part);
    done += part;
  }
}

export function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw new Error('it ends too early');
  return byte;
}
