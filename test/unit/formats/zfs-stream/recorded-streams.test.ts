/** Streams of real ZFS, every one that was recorded, against what the mounted snapshots held. */
import {readdirSync} from 'node:fs';
import {describe, expect, test} from 'vitest';
import {fixturePath} from '../../../fixtures-dir.ts';
import {recordedFileSystems, recordedVolumes} from '../../../support/recorded-streams.ts';
import {
  decodedVolume,
  decodeStreams,
  expectSameLines,
  recordedStream,
  recordedTree,
  recordedVolume,
  sha256,
  treeLines,
} from '../../../support/zfs-stream.ts';

describe('a stream of a file system is the tree that was sent', () => {
  test.each(recordedFileSystems)('%s: %s', async (stream, truth, over = []) => {
    const decoded = await decodeStreams([...over, stream].map(recordedStream));
    expectSameLines(treeLines(decoded), recordedTree(truth));
  });
});

describe('a stream of a volume is the disk that was sent', () => {
  test.each(recordedVolumes)('%s: %s', async (stream, truth, over = []) => {
    const disk = decodedVolume(await decodeStreams([...over, stream].map(recordedStream)));
    const {size, sha256: digest} = recordedVolume(truth);
    expect({size: disk.length, digest: sha256(disk)}).toEqual({size, digest});
  });
});

test('every recorded stream is among these, or refused by name', async () => {
  const recorded = readdirSync(fixturePath('fixtures', 'zfs')).flatMap(
    (name) => /^(.*)\.zfs\.gz$/.exec(name)?.[1] ?? [],
  );
  const read = new Set([...recordedFileSystems, ...recordedVolumes].map(([stream]) => stream));
  expect(recorded.filter((name) => !read.has(name))).toEqual(['refuse-raw-encrypted']);
  await expect(decodeStreams([recordedStream('refuse-raw-encrypted')])).rejects.toMatchObject({
    code: 'NotSupported',
    message: 'The ZFS stream cannot be read: it is encrypted (zfs send --raw)',
  });
});
