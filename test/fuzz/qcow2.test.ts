/** Whatever is done to a qcow2 image, reading it ends with a disk of the size it says or with a named error. */
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {ImgctlError} from '../../src/errors.ts';
import {decodeQcow2, makeDisk, makeQcow2} from '../support/qcow2.ts';

const limit = 4 << 20;
const allowed = ['InvalidArchive', 'NotSupported', 'LimitExceeded'];
let directory: string;
let images: Buffer[];

beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-qcow2-'));
  const disk = makeDisk(path.join(directory, 'disk.raw'), 40_960);
  images = [
    readFileSync(makeQcow2(disk, 'cluster_size=512')),
    readFileSync(makeQcow2(disk, 'compat=0.10,cluster_size=512')),
    readFileSync(makeQcow2(disk, 'cluster_size=512', true)),
    readFileSync(makeQcow2(disk, 'cluster_size=512,compression_type=zstd', true)),
    readFileSync(makeQcow2(disk, 'cluster_size=16k,extended_l2=on')),
  ];
});
afterAll(() => rmSync(directory, {recursive: true}));

function outcome(image: Buffer): string {
  try {
    return decodeQcow2(image, limit).length <= limit ? 'read' : 'too long';
  } catch (error) {
    if (error instanceof ImgctlError && allowed.includes(error.code)) return error.code;
    throw error;
  }
}

/** Offsets are words of 64 bits in the first part of a file, so most changes hit tables there. */
const change = fc.record({
  word: fc.oneof(fc.nat(15), fc.nat(600)),
  value: fc.oneof(
    fc.bigInt({min: 0n, max: (1n << 64n) - 1n}),
    fc.nat(80).map((cluster) => BigInt(cluster * 512) | (1n << 63n)),
    fc.nat(63).map((bit) => 1n << BigInt(bit)),
  ),
  isFlip: fc.boolean(),
});

test('changed words in 6,000 images are read or refused', () => {
  const seen = new Map<string, number>();
  const mutation = fc.record({
    image: fc.nat(4),
    changes: fc.array(change, {minLength: 1, maxLength: 4}),
    cut: fc.option(fc.nat(40_000), {freq: 8}),
  });
  fc.assert(
    fc.property(mutation, ({image, changes, cut}) => {
      const bytes = Buffer.from(images[image] ?? Buffer.alloc(0));
      for (const {word, value, isFlip} of changes) {
        const old = bytes.readBigUInt64BE(word * 8);
        bytes.writeBigUInt64BE(isFlip ? old ^ value : value, word * 8);
      }
      const result = outcome(cut === null ? bytes : bytes.subarray(0, cut));
      seen.set(result, (seen.get(result) ?? 0) + 1);
      return result !== 'too long';
    }),
    {numRuns: 6000},
  );
  // The changes reach every kind of end, or they would test nothing.
  expect([...seen.keys()].sort()).toEqual(['InvalidArchive', 'LimitExceeded', 'NotSupported', 'read']);
});

test('any bytes behind the magic are refused', () => {
  const magic = Buffer.from('514649fb', 'hex');
  fc.assert(
    fc.property(fc.uint8Array({maxLength: 300}), (bytes) =>
      allowed.includes(outcome(Buffer.concat([magic, bytes]))),
    ),
    {numRuns: 1000},
  );
});
