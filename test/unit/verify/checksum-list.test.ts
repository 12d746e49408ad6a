import fc from 'fast-check';
import {expect, test} from 'vitest';
import {maxChecksumListBytes, parseChecksumList} from '../../../src/verify/checksum-list.ts';

const a = 'a'.repeat(64);
const b = 'b'.repeat(64);
const parse = (text: string) => Object.fromEntries(parseChecksumList(Buffer.from(text)));

test.each([
  ['a binary mark', `${a} *disk.raw\n`],
  ['two spaces', `${a}  disk.raw\n`],
  ['one space', `${a} disk.raw\n`],
  ['no last newline', `${a}  disk.raw`],
  ['CRLF', `${a}  disk.raw\r\n`],
  ['upper-case digits', `${a.toUpperCase()}  disk.raw\n`],
  ['./ before the name', `${a}  ./disk.raw\n`],
  ['other lines around it', `-----BEGIN PGP SIGNED MESSAGE-----\n\n# list\n${a} *disk.raw\nend\n`],
])('a list with %s is read', (_what, text) => {
  expect(parse(text)).toEqual({'disk.raw': [a]});
});

test('names keep what is theirs: spaces, stars and directories', () => {
  expect(parse(`${a}  b c\n${a} **x\n${b}  dir/disk.raw\n`)).toEqual({
    'b c': [a],
    '*x': [a],
    'dir/disk.raw': [b],
  });
});

test('a name may have several digests, in their order', () => {
  expect(parse(`${b}  x\n${a}  x\n`)).toEqual({x: [b, a]});
});

test.each(['', 'x', `${a}\n`, `${a.slice(1)}  x\n`, `${a}x  y\n`, ` ${a}  x\n`])(
  '%j lists nothing',
  (text) => {
    expect(parse(text)).toEqual({});
  },
);

test('names such as __proto__ are only names', () => {
  expect(parseChecksumList(Buffer.from(`${a}  __proto__\n`)).get('__proto__')).toEqual([a]);
});

test('a list above the limit is refused, and no bytes make it fail otherwise', () => {
  const large = Buffer.alloc(maxChecksumListBytes + 1);
  expect(() => parseChecksumList(large)).toThrow(expect.objectContaining({code: 'LimitExceeded'}));
  fc.assert(fc.property(fc.uint8Array({maxLength: 500}), (bytes) => void parseChecksumList(bytes)));
});
