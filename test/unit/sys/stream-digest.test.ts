import {createHash, randomBytes} from 'node:crypto';
import {expect, test} from 'vitest';
import {StreamDigest} from '../../../src/sys/stream-digest.ts';

test.each(['sha1', 'sha256'] as const)(
  '%s is that of Node, asked for in the middle and at the end',
  async (algorithm) => {
    const [digest, reference] = [new StreamDigest(algorithm), createHash(algorithm)];
    expect(digest.hex()).toBe(reference.copy().digest('hex'));
    for (const size of [0, 1, 63, 64, 65, 1_000_000]) {
      const bytes = randomBytes(size);
      await digest.update(bytes);
      reference.update(bytes);
      expect(digest.hex()).toBe(reference.copy().digest('hex'));
    }
  },
);

test('a digest takes one piece at a time, and has no value meanwhile', async () => {
  const digest = new StreamDigest('sha256');
  const running = digest.update(Buffer.alloc(8 << 20));
  await expect(digest.update(Buffer.alloc(1))).rejects.toThrow('idle digest');
  expect(() => digest.hex()).toThrow('worked on');
  await running;
  expect(digest.hex()).toBe(
    createHash('sha256')
      .update(Buffer.alloc(8 << 20))
      .digest('hex'),
  );
});
