import fc from 'fast-check';
import {expect, test} from 'vitest';
import {UuidSet} from '../../../src/imgapi/uuid-set.ts';
import {uuidFor} from '../../support/catalogs.ts';

test('a set of UUIDs holds what a set of strings holds', () => {
  const zero = '00000000-0000-0000-0000-000000000000';
  const anyText = fc.oneof(
    fc.uuid(),
    fc.integer({min: 0, max: 20}).map((last) => `${zero.slice(0, -2)}${last.toString(16).padStart(2, '0')}`),
    fc.constantFrom('', 'x', zero, zero.toUpperCase(), uuidFor('a').toUpperCase(), `${uuidFor('a')}0`),
  );
  fc.assert(
    fc.property(fc.array(anyText, {maxLength: 60}), (texts) => {
      const [set, plain] = [new UuidSet(), new Set<string>()];
      for (const text of texts) {
        expect(set.has(text)).toBe(plain.has(text));
        set.add(text);
        plain.add(text);
        expect(set.has(text)).toBe(true);
        expect(set.size).toBe(plain.size);
      }
    }),
  );
});

test('it grows with what it holds', () => {
  const set = new UuidSet();
  for (let index = 0; index < 5000; index += 1) set.add(uuidFor(`${index % 4000}`));
  expect(set.size).toBe(4000);
  for (let index = 0; index < 8000; index += 1) expect(set.has(uuidFor(`${index}`))).toBe(index < 4000);
});
