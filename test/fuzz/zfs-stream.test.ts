/**
 * Whatever is done to a ZFS stream, reading it ends with a tree or disk or with a named error, and any change that the
 * checksums see is an error. IMGCTL_FUZZ_RUNS multiplies the random ones.
 */
import fc from 'fast-check';
import {expect, test, vi} from 'vitest';
import {ImgctlError} from '../../src/errors.ts';
import {type RecordPlace, recordPlaces, resealed} from '../support/zfs-records.ts';
import {decodedEntries, decodedVolume, decodeStreams, recordedStream} from '../support/zfs-stream.ts';
import {largeVolume, manyFiles} from '../support/zfs-writer.ts';

const times = Number(process.env.IMGCTL_FUZZ_RUNS ?? 1);
vi.setConfig({testTimeout: 60_000 * times});
const allowed = ['InvalidArchive', 'NotSupported', 'LimitExceeded', 'OriginNotInstalled'];

/** How reading ends: `read`, or the code of the error. */
async function outcome(stream: Buffer, chunkBytes?: number): Promise<string> {
  try {
    const decoded = await decodeStreams([stream], chunkBytes === undefined ? {} : {chunkBytes});
    if (decoded.dataset.begin.kind === 'volume') decodedVolume(decoded);
    else decodedEntries(decoded);
    return 'read';
  } catch (error) {
    if (error instanceof ImgctlError && allowed.includes(error.code)) return error.code;
    throw error;
  }
}

test.each([['fs-zstd-c'], ['fs-v28-zpl4'], ['zvol-64K-c'], ['fs-p']])(
  '%s is truncated wherever it is cut between two records, or one byte beside',
  async (name) => {
    const stream = recordedStream(name);
    const offsets = recordPlaces(stream).map(({start}) => start);
    const step = times > 1 ? 1 : Math.ceil(offsets.length / 25);
    const last = offsets.length - 1;
    for (const [index, offset] of offsets.entries()) {
      if (index % step !== 0 && index < last - 3) continue;
      for (const cut of [offset - 1, offset, offset + 1].filter((each) => each > 0 && each < stream.length)) {
        expect([cut, await outcome(stream.subarray(0, cut))]).toEqual([cut, 'InvalidArchive']);
      }
    }
    expect(await outcome(Buffer.concat([stream, Buffer.from('x')]))).toBe('InvalidArchive');
  },
);

const small = ['fs-zstd-c', 'fs-v28-zpl3', 'zvol-16K-c', 'fs-p'].map(recordedStream);

test('any bit that is flipped is found', async () => {
  const flip = fc.record({
    which: fc.nat(small.length - 1),
    place: fc.double({min: 0, max: 1, noNaN: true, maxExcluded: true}),
    bit: fc.nat(7),
    fromEnd: fc.option(fc.nat(700), {freq: 4}),
  });
  await fc.assert(
    fc.asyncProperty(flip, async ({which, place, bit, fromEnd}) => {
      const stream = Buffer.from(small[which] ?? Buffer.alloc(0));
      const at = fromEnd === null ? Math.floor(place * stream.length) : stream.length - 1 - fromEnd;
      stream[at] = (stream[at] ?? 0) ^ (1 << bit);
      return (await outcome(stream)) !== 'read';
    }),
    {numRuns: 100 * times},
  );
});

test('any bit that is flipped in the frame of a compound stream is found', async () => {
  const stream = recordedStream('zvol-8K-p');
  const {end = 0} = recordPlaces(stream)[1] ?? {};
  for (let at = 0; at < end; at += times > 1 ? 1 : 23) {
    const changed = Buffer.from(stream);
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    expect([at, await outcome(changed)]).not.toEqual([at, 'read']);
  }
});

/** Words and bytes that are numbers of something somewhere. */
const value = fc.oneof(
  fc.bigInt({min: 0n, max: (1n << 64n) - 1n}),
  fc.bigInt({min: 0n, max: 70_000n}),
  fc.nat(63).map((bit) => 1n << BigInt(bit)),
);
const change = fc.record({
  record: fc.nat(200),
  word: fc.oneof({weight: 3, arbitrary: fc.nat(34)}, {weight: 2, arbitrary: fc.nat(300)}),
  value,
  isFlip: fc.boolean(),
});

function mutated(stream: Buffer, places: readonly RecordPlace[], changes: readonly Change[]): Buffer {
  const bytes = Buffer.from(stream);
  for (const {record, word, value: number, isFlip} of changes) {
    const {start, end} = places[record % places.length] ?? {start: 0, end: 0};
    const at = start + ((word * 8) % (end - start - 7));
    const old = bytes.readBigUInt64LE(at);
    bytes.writeBigUInt64LE(isFlip ? old ^ number : number, at);
  }
  return resealed(bytes, places);
}

interface Change {
  record: number;
  word: number;
  value: bigint;
  isFlip: boolean;
}

test('changes with right checksums are read or refused', async () => {
  const made = [
    Buffer.concat([...manyFiles(40, 300)]),
    Buffer.concat([...largeVolume(65_536, 8192)]),
    recordedStream('fs-v28-zpl4'),
    recordedStream('fs-zstd-c'),
  ];
  const places = made.map(recordPlaces);
  const seen = new Map<string, number>();
  const mutation = fc.record({
    which: fc.oneof({weight: 40, arbitrary: fc.nat(1)}, {weight: 1, arbitrary: fc.constantFrom(2, 3)}),
    changes: fc.array(change, {minLength: 1, maxLength: 3}),
    chunkBytes: fc.constantFrom(313, 4096, 65_536),
  });
  await fc.assert(
    fc.asyncProperty(mutation, async ({which, changes, chunkBytes}) => {
      const stream = mutated(made[which] ?? Buffer.alloc(0), places[which] ?? [], changes);
      const result = await outcome(stream, chunkBytes);
      seen.set(result, (seen.get(result) ?? 0) + 1);
    }),
    {numRuns: 1500 * times},
  );
  // The changes reach several kinds of end, or they would test nothing.
  expect([...seen.keys()].sort()).toEqual(expect.arrayContaining(['InvalidArchive', 'NotSupported', 'read']));
});
