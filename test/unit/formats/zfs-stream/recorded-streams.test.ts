/** Streams of real ZFS, every one that was recorded, against what the mounted snapshots held. */
import {readdirSync} from 'node:fs';
import {describe, expect, test} from 'vitest';
import {fixturePath} from '../../../fixtures-dir.ts';
import {
  decodedVolume,
  decodeStreams,
  recordedStream,
  recordedTree,
  recordedVolume,
  sha256,
  treeLines,
} from '../../../support/zfs-stream.ts';

/** The stream, the truth where it has another name, and what it is applied over. */
const fileSystems: [stream: string, truth: string, over?: string[]][] = [
  ['fs-plain', 'fs-plain'],
  ['fs-c-lz4', 'fs-plain'],
  ['fs-e', 'fs-plain'],
  ['fs-p', 'fs-plain'],
  ['fs-incr', 'fs-incr', ['fs-plain']],
  ['fs-incr-Lec', 'fs-incr', ['fs-plain']],
  ['fs-incr2', 'fs-incr2', ['fs-plain', 'fs-incr']],
  ['fs-replicate', 'fs-incr2', ['fs-plain']],
  ['fs-1m-Lec', 'fs-1m'],
  ['fs-1m-split', 'fs-1m'],
  ['fs-1m-incr-L', 'fs-1m-incr', ['fs-1m-split']],
  ['fs-1m-incr-L', 'fs-1m-incr', ['fs-1m-Lec']],
  ['fs-1m-incr-split', 'fs-1m-incr', ['fs-1m-split']],
  ['fs-1m-incr-split', 'fs-1m-incr', ['fs-1m-Lec']],
  ['fs-embspill-ec', 'fs-embspill-ec'],
  ['fs-mixcomp-c', 'fs-mixcomp'],
  ['fs-mixcomp-ec', 'fs-mixcomp'],
  ['fs-zstd-c', 'fs-zstd'],
  ['fs-gzip-c', 'fs-gzip'],
  ['fs-v28-zpl5', 'fs-v28-zpl5'],
  ['fs-v28-zpl4', 'fs-v28-zpl4'],
  ['fs-v28-zpl3', 'fs-v28-zpl3'],
  ['fs-ci', 'fs-ci'],
  ['fs-r16', 'fs-r16'],
];

const volumes: [stream: string, truth: string, over?: string[]][] = [
  ['zvol-8K-plain', 'zvol-8K'],
  ['zvol-8K-c', 'zvol-8K'],
  ['zvol-8K-p', 'zvol-8K'],
  ['zvol-16K-plain', 'zvol-16K'],
  ['zvol-16K-c', 'zvol-16K'],
  ['zvol-64K-plain', 'zvol-64K'],
  ['zvol-64K-c', 'zvol-64K'],
  ['zvol-8K-incr', 'zvol-8K-incr', ['zvol-8K-plain']],
  ['zvol-8K-incr-c', 'zvol-8K-incr', ['zvol-8K-c']],
  ['zvol-64K-incr', 'zvol-64K-incr', ['zvol-64K-c']],
  ['zvol-64K-incr-c', 'zvol-64K-incr', ['zvol-64K-plain']],
  ['zvol-v28', 'zvol-v28'],
];

describe('a stream of a file system is the tree that was sent', () => {
  test.each(fileSystems)('%s: %s', async (stream, truth, over = []) => {
    const decoded = await decodeStreams([...over, stream].map(recordedStream));
    const [actual, expected] = [treeLines(decoded), recordedTree(truth)];
    expect(actual.length).toBe(expected.length);
    const differing = actual.filter((line, index) => !same(line, expected[index]));
    expect(differing.slice(0, 5)).toEqual(
      expected.filter((line, index) => !same(line, actual[index])).slice(0, 5),
    );
  });
});

/** The order of fields does not count. */
function same(a: unknown, b: unknown): boolean {
  return sortedText(a) === sortedText(b);
}

function sortedText(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

describe('a stream of a volume is the disk that was sent', () => {
  test.each(volumes)('%s: %s', async (stream, truth, over = []) => {
    const disk = decodedVolume(await decodeStreams([...over, stream].map(recordedStream)));
    const {size, sha256: digest} = recordedVolume(truth);
    expect({size: disk.length, digest: sha256(disk)}).toEqual({size, digest});
  });
});

test('every recorded stream is among these, or refused by name', async () => {
  const recorded = readdirSync(fixturePath('fixtures', 'zfs')).flatMap(
    (name) => /^(.*)\.zfs\.gz$/.exec(name)?.[1] ?? [],
  );
  const read = new Set([...fileSystems, ...volumes].map(([stream]) => stream));
  expect(recorded.filter((name) => !read.has(name))).toEqual(['refuse-raw-encrypted']);
  await expect(decodeStreams([recordedStream('refuse-raw-encrypted')])).rejects.toMatchObject({
    code: 'NotSupported',
    message: 'The ZFS stream cannot be read: it is encrypted (zfs send --raw)',
  });
});
