/** Inputs for parsers, made from good samples: the same for the same numbers. */
import fc from 'fast-check';
import type {Random} from './random.ts';

const numbers = [0, 1, 2, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const words = [
  '../',
  '/',
  '\0',
  '\n',
  '\u001b[2J',
  '%00',
  '-',
  '=',
  '"',
  '{',
  '}',
  '[',
  ']',
  '9'.repeat(20),
  'é',
];

/** Bytes changed, cut, doubled, put in, or taken from another sample; now and then mere noise. */
export function mutateBytes(samples: readonly Buffer[], random: Random): Buffer {
  if (random.next() < 0.02)
    return Buffer.from(Array.from({length: random.below(600)}, () => random.below(256)));
  let bytes = Buffer.from(random.pick(samples));
  for (let left = 1 + random.below(6); left > 0; left -= 1)
    bytes = Buffer.from(changed(bytes, samples, random));
  return bytes;
}

function changed(bytes: Buffer, samples: readonly Buffer[], random: Random): Buffer {
  // Headers and tables stand at the beginning.
  const near = random.next() < 0.5 ? Math.min(bytes.length, 1024) : bytes.length;
  const at = random.below(near + 1);
  const end = Math.min(bytes.length, at + 1 + random.below(64));
  switch (random.below(9)) {
    case 0:
      if (at < bytes.length) bytes[at] = random.below(256);
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return bytes;
    case 2:
      if (at + 4 <= bytes.length) bytes.writeUInt32BE(random.pick(numbers), at);
      return bytes;
    case 3:
      if (at + 8 <= bytes.length)
        bytes.writeBigUInt64LE(BigInt(random.pick(numbers)) << BigInt(random.below(33)), at);
      return bytes;
    case 4:
      return bytes.subarray(0, at);
    case 5:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    case 6:
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
    case 7: {
      const other = random.pick(samples);
      const from = random.below(other.length + 1);
      return Buffer.concat([
        bytes.subarray(0, at),
        other.subarray(from, from + random.below(200)),
        bytes.subarray(at),
      ]);
    }
    default:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(random.pick(words)), bytes.subarray(at)]);
  }
}

/** Any values, from fast-check. */
const strangers: unknown[] = fc.sample(
  fc.oneof(
    fc.jsonValue({maxDepth: 3}),
    fc.constantFrom(null, -1, 1e308, '', '\u001b[31m', '../../x', [], {}),
  ),
  {seed: 10, numRuns: 400},
);

/** More than any reader takes; a text that is repeated again and again would fill the memory of the fuzzer. */
const longestText = 2 << 20;

/** A document with some of its values changed, removed, renamed or repeated; some are no JSON any more. */
export function mutateJson(samples: readonly Buffer[], random: Random): Buffer {
  if (random.next() < 0.15) return mutateBytes(samples, random);
  if (random.next() < 0.03) return Buffer.from(JSON.stringify(random.pick(strangers)));
  const value: unknown = JSON.parse(random.pick(samples).toString());
  for (let left = 1 + random.below(4); left > 0; left -= 1) changeValue(value, random);
  return Buffer.from(JSON.stringify(value));
}

function changeValue(value: unknown, random: Random): void {
  if (typeof value !== 'object' || value === null) return;
  const holder = value as Record<string, unknown>;
  const key = random.pick([...Object.keys(holder), 'new']);
  const inner = holder[key];
  if (typeof inner === 'object' && inner !== null && random.next() < 0.7) {
    changeValue(inner, random);
    return;
  }
  const kind = random.next();
  if (kind < 0.6) holder[key] = structuredClone(random.pick(strangers));
  else if (kind < 0.75) delete holder[key];
  else if (kind < 0.9) holder[String(random.pick(strangers)).slice(0, 40)] = structuredClone(inner);
  else if (typeof inner === 'string')
    holder[key] = inner.repeat(Math.min(1 + random.below(300), longestText / (inner.length + 1) + 1));
}
