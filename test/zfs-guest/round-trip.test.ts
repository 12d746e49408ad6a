/**
 * Streams made in the guest of trees with everything odd, and of volumes: what is decoded here is what `zfs recv` makes
 * of the same streams there.
 */
import {cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {gunzipSync} from 'node:zlib';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {EmbeddedEngine} from '../../src/engine/embedded/embedded-engine.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {storedTree} from '../support/recorded-tree.ts';
import {expectSameLines, sha256, sortedTree, type TreeLine} from '../support/zfs-stream.ts';
import {runInGuest} from './guest.ts';

/** Each with what it goes over. */
const trees: readonly [stream: string, base?: string][] = [
  ['fs-plain'],
  ['fs-c-lz4'],
  ['fs-e'],
  ['fs-p'],
  ['fs-incr', 'fs-plain'],
  ['fs-incr-Lec', 'fs-plain'],
  ['fs-incr2', 'fs-incr'],
  ['fs-1m-Lec'],
  ['fs-1m-split'],
];
const volumes: readonly [stream: string, base?: string][] = [
  ['zvol-8K-plain'],
  ['zvol-8K-incr', 'zvol-8K-plain'],
  ['zvol-64K-c'],
  ['zvol-64K-incr-c', 'zvol-64K-c'],
];
/** Not those of the recorded streams. */
const seed = 'round-trip';
let directory: string;
let outputs: string;

function receive(stream: string, base?: string): string {
  const origin = base === undefined ? '' : `-o origin=back/${base}@final`;
  return `gzip -dc $OUT/${stream}.zfs.gz | zfs recv -u ${origin} back/${stream}@final`;
}

beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-zfs-round-'));
  const inputs = path.join(directory, 'in');
  outputs = path.join(directory, 'out');
  mkdirSync(inputs);
  const listed = trees.map(([name, base]) =>
    [
      receive(name, base),
      `mount -t zfs back/${name}@final /mnt && python3 manifest.py /mnt >$OUT/${name}.received.jsonl && umount /mnt`,
    ].join(' && '),
  );
  const summed = volumes.map(([name, base]) =>
    [
      receive(name, base),
      `zfs clone back/${name}@final back/${name}-clone && udevadm settle`,
      `python3 volsum.py /dev/zvol/back/${name}-clone >$OUT/${name}.received.json`,
    ].join(' && '),
  );
  const outcomes = runInGuest(
    {
      make: `bash make-streams.sh ${seed} "fs Lec zvol"`,
      pool: 'truncate -s 1500M /scratch/back; zpool create -O mountpoint=/back back /scratch/back',
      ...Object.fromEntries([...listed, ...summed].map((text, index) => [`receive${index}`, text])),
    },
    {inputs, outputs},
  );
  for (const [name, {status, stderr}] of outcomes)
    expect([name, status, status === 0 ? '' : stderr]).toEqual([name, 0, '']);
  if (process.env.IMGCTL_ZFS_GUEST_KEEP)
    cpSync(outputs, process.env.IMGCTL_ZFS_GUEST_KEEP, {recursive: true});
});
afterAll(() => rmSync(directory, {recursive: true, force: true}));

/** Stores a stream and all it goes over in a fresh store, and calls `use` with the path of the last. */
async function withStored(
  rows: readonly (readonly [stream: string, base?: string])[],
  name: string,
  use: (stored: string) => void,
): Promise<void> {
  const place = mkdtempSync(path.join(directory, 'store-'));
  const engine = new EmbeddedEngine({runtimeDirectory: path.join(place, 'run')});
  const store = {imageClass: 'machine', directory: path.join(place, 'machines')} as const;
  const chain: string[] = [];
  for (let at: string | undefined = name; at !== undefined; at = rows.find(([row]) => row === at)?.[1])
    chain.unshift(at);
  let stored = '';
  try {
    for (const [index, localName] of chain.entries()) {
      const below = chain[index - 1];
      const transfer = await engine.import({
        format: 'auto',
        store,
        localName,
        sourcePath: path.join(outputs, `${localName}.zfs.gz`),
        readOnly: true,
        ...(below !== undefined && {origin: {store, localName: below}}),
      });
      stored = (await transfer.finished).path;
    }
    use(stored);
  } finally {
    for (const localName of chain) await engine.removeImage(store, localName);
    await removeTree(place);
  }
}

function receivedTree(name: string): TreeLine[] {
  const text = readFileSync(path.join(outputs, `${name}.received.jsonl`), 'utf8');
  const lines = text.trim().split('\n');
  return sortedTree(lines.map((line) => JSON.parse(line)));
}

test.each(trees)('the tree of %s is what zfs recv mounts', async (name) => {
  await withStored(trees, name, (stored) => expectSameLines(storedTree(stored), receivedTree(name)));
});

test.each(volumes)('the disk of %s is what zfs recv has', async (name) => {
  const received = JSON.parse(readFileSync(path.join(outputs, `${name}.received.json`), 'utf8'));
  await withStored(volumes, name, (stored) => {
    const bytes = readFileSync(stored);
    expect([bytes.length, sha256(bytes)]).toEqual([received.size, received.sha256]);
  });
});

test('the streams are those of this run', () => {
  const stream = gunzipSync(readFileSync(path.join(outputs, 'fs-plain.zfs.gz')));
  expect(stream.includes(`image-${seed}`)).toBe(true);
});
