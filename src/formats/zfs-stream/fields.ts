/** 64-bit fields as numbers: every value this format may use is below 2^53, and what is above stays above. */

const high = 2 ** 32;

export function readUint64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * high;
}

export function readUint64BE(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * high + bytes.readUInt32BE(at + 4);
}
