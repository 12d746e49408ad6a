import {spawnSync} from 'node:child_process';
import fc from 'fast-check';
import {expect, test} from 'vitest';
import type {TarEntry} from '../../../src/formats/tar-entry.ts';
import {readTar} from '../../../src/formats/tar-reader.ts';
import {encodeTarHeader, type NewTarEntry, tarEnd, tarPadding} from '../../../src/formats/tar-writer.ts';

const plain: NewTarEntry = {
  type: 'file',
  path: Buffer.from('./file'),
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtimeNs: 1_700_000_000_000_000_000n,
  size: 0,
  xattrs: new Map(),
};

function archiveOf(entry: NewTarEntry): Buffer {
  const stored = entry.runs ? entry.runs.reduce((sum, run) => sum + run.length, 0) : entry.size;
  return Buffer.concat([encodeTarHeader(entry), Buffer.alloc(stored, 'x'), tarPadding(stored), tarEnd]);
}

async function readBack(entry: NewTarEntry): Promise<TarEntry & {runs: {offset: number; length: number}[]}> {
  async function* source() {
    yield archiveOf(entry);
  }
  const entries: (TarEntry & {runs: {offset: number; length: number}[]})[] = [];
  for await (const found of readTar(source())) {
    const runs: {offset: number; length: number}[] = [];
    for await (const run of found.body()) runs.push({offset: run.offset, length: run.bytes.length});
    entries.push({...found, runs});
  }
  expect(entries.length).toBe(1);
  return entries[0] as TarEntry & {runs: {offset: number; length: number}[]};
}

const name = fc
  .uint8Array({minLength: 1, maxLength: 300})
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte))));
const xattrs = fc
  .dictionary(fc.stringMatching(/^user\.[a-z=]{1,20}$/), fc.uint8Array({maxLength: 600}), {maxKeys: 4})
  .map((values) => new Map(Object.entries(values).map(([key, value]) => [key, Buffer.from(value)])));
const entry = fc.record({
  type: fc.constant('file' as const),
  path: fc
    .array(name, {minLength: 1, maxLength: 4})
    .map((parts) => Buffer.concat([Buffer.from('.'), ...parts.flatMap((part) => [Buffer.from('/'), part])])),
  mode: fc.nat(0o7777),
  uid: fc.nat(0xfffffffe),
  gid: fc.nat(0xfffffffe),
  mtimeNs: fc.bigInt({min: -(1n << 62n), max: 1n << 62n}),
  size: fc.nat(3000),
  xattrs,
});

test('whatever an entry is made of, it is read back the same', async () => {
  await fc.assert(
    fc.asyncProperty(entry, async (written) => {
      const {type, path, mode, uid, gid, mtimeNs, size, xattrs: found} = await readBack(written);
      expect({type, path, mode, uid, gid, mtimeNs, size, xattrs: found}).toEqual(written);
    }),
    {numRuns: 500},
  );
});

test('holes are read back where they were', async () => {
  const runs = [
    {offset: 4096, length: 100},
    {offset: 2 ** 30, length: 4096},
  ];
  for (const size of [2 ** 30 + 4096, 2 ** 31]) {
    const found = await readBack({...plain, size, runs});
    expect(found).toMatchObject({size, runs, path: plain.path});
  }
  expect(await readBack({...plain, size: 1 << 20, runs: []})).toMatchObject({size: 1 << 20, runs: []});
});

test('devices and links are read back the same', async () => {
  const device = {...plain, type: 'block', major: 3_000_000, minor: 4_000_000_000} as const;
  expect(await readBack(device)).toMatchObject({type: 'block', major: 3_000_000, minor: 4_000_000_000});
  const linkPath = Buffer.from('../'.repeat(60));
  for (const type of ['symlink', 'hardlink'] as const) {
    expect(await readBack({...plain, type, linkPath})).toMatchObject({type, linkPath});
  }
});

test('a file of more than eight gibibytes is announced with its size', () => {
  const input = encodeTarHeader({...plain, size: 2 ** 33 + 1});
  const listed = spawnSync('tar', ['-tvf', '-'], {input, encoding: 'utf8'}).stdout; // it complains of the missing body
  expect(listed).toContain(String(2 ** 33 + 1));
});
