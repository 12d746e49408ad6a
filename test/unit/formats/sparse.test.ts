import fc from 'fast-check';
import {expect, test} from 'vitest';
import {dataRuns} from '../../../src/formats/sparse.ts';

test('the runs and the holes between them are the chunk, and aligned zero blocks are never in a run', () => {
  const blocks = fc.array(fc.constantFrom('zero', 'full', 'first', 'last'), {maxLength: 12});
  fc.assert(
    fc.property(blocks, fc.nat(9000), fc.nat(5000), (kinds, offset, tail) => {
      const chunk = Buffer.alloc(kinds.length * 4096 + tail);
      kinds.forEach((kind, index) => {
        const start = index * 4096;
        if (kind === 'full') chunk.fill(7, start, start + 4096);
        if (kind === 'first') chunk[start] = 1;
        if (kind === 'last') chunk[start + 4095] = 1;
      });
      const rebuilt = Buffer.alloc(chunk.length);
      let end = offset;
      for (const run of dataRuns(chunk, offset)) {
        expect(run.offset).toBeGreaterThanOrEqual(end);
        expect(run.bytes.some((byte) => byte !== 0)).toBe(true);
        run.bytes.copy(rebuilt, run.offset - offset);
        end = run.offset + run.bytes.length;
      }
      expect(rebuilt.equals(chunk)).toBe(true);
    }),
  );
});

test('zeros give no run at all', () => {
  expect([...dataRuns(Buffer.alloc(1 << 20), 4096)]).toEqual([]);
});
