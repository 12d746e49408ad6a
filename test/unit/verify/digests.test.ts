import {createHash} from 'node:crypto';
import {Readable} from 'node:stream';
import {buffer} from 'node:stream/consumers';
import {expect, test} from 'vitest';
import {type DigestName, DigestTap} from '../../../src/verify/digests.ts';

const bytes = Buffer.alloc(300_000, 'image');

test('passes bytes through unchanged and knows their size and digests', async () => {
  const names: DigestName[] = ['md5', 'sha1', 'sha256'];
  const tap = Readable.from([bytes.subarray(0, 7), bytes.subarray(7)]).pipe(new DigestTap(names));
  expect(await buffer(tap)).toEqual(bytes);
  expect(tap.sizeBytes).toBe(bytes.length);
  for (const name of names) expect(tap.digest(name)).toBe(createHash(name).update(bytes).digest('hex'));
});

test('a digest is not available before the end, nor when it was not asked for', async () => {
  const tap = new DigestTap(['sha1']);
  tap.write('x');
  expect(() => tap.digest('sha1')).toThrow('not available');
  tap.end();
  await buffer(tap);
  expect(tap.digest('sha1')).toHaveLength(40);
  expect(() => tap.digest('md5')).toThrow('not available');
});
