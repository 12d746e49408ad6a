/** Images as SmartOS repositories have them, ZFS streams with an origin, imported by the built programs. */
import {createHash} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {fixturePath} from '../fixtures-dir.ts';
import {type FakeServer, startFakeServer} from '../support/fake-images.ts';
import {storedTree} from '../support/recorded-tree.ts';
import {World} from '../support/world.ts';
import {
  expectSameLines,
  recordedStream,
  recordedTree,
  recordedVolume,
  sha256,
} from '../support/zfs-stream.ts';

const isRoot = process.geteuid?.() === 0;
const base = '11111111-1111-4111-8111-111111111111';
const changed = '22222222-2222-4222-8222-222222222222';
let world: World;
let server: FakeServer;

beforeEach(async () => {
  world = new World();
  server = await startFakeServer([]);
  world.useSources([server.url]);
});
afterEach(async () => {
  for (const uuid of [changed, base]) world.run(['delete', uuid]);
  await server.close();
  await world.end();
});

/** Offers a stream, compressed as it was recorded, and the changes of it. */
function offer(type: string, whole: string, changes: string): void {
  const image = (uuid: string, name: string, more: object) => {
    const bytes = readFileSync(fixturePath('fixtures', 'zfs', `${name}.zfs.gz`));
    const files = [{sha1: sha1(bytes), size: bytes.length, compression: 'gzip'}];
    return {uuid, name, bytes, more: {type, os: 'smartos', files, ...more}};
  };
  server.images = [image(base, whole, {}), image(changed, changes, {origin: base})];
}

const sha1 = (bytes: Buffer) => createHash('sha1').update(bytes).digest('hex');
const run = (...args: string[]) => world.runWhile(args, async () => undefined);
const stored = (name: string) => path.join(world.root, 'var/lib/machines', name);

test('a disk of changes is imported after its origin', async () => {
  offer('zvol', 'zvol-8K-c', 'zvol-8K-incr');
  const outcome = await run('import', '-q', changed);
  expect([outcome.stderr, outcome.status]).toEqual(['', 0]);
  expect(world.machines()).toEqual([`.${base}.zfs`, `.${changed}.zfs`, `${base}.raw`, `${changed}.raw`]);
  expect(sha256(readFileSync(stored(`${base}.raw`)))).toBe(recordedVolume('zvol-8K').sha256);
  expect(sha256(readFileSync(stored(`${changed}.raw`)))).toBe(recordedVolume('zvol-8K-incr').sha256);
  expect(world.installed()).toEqual([base, changed]);
});

test.runIf(isRoot)(
  'a tree of changes is imported after its origin, and deleted with all that is kept',
  async () => {
    offer('zone-dataset', 'fs-1m-split', 'fs-1m-incr-split');
    expect((await run('import', '-q', changed)).stderr).toBe('');
    expectSameLines(storedTree(stored(changed)), recordedTree('fs-1m-incr'));
    expect((await run('delete', changed)).status).toBe(0);
    expect((await run('delete', base)).status).toBe(0);
    expect(world.machines()).toEqual([]);
  },
);

test('a damaged stream is no image, and nothing of it stays', async () => {
  const good = recordedStream('zvol-8K-c');
  const bytes = Buffer.from(good).fill(0xee, good.length - 4000, good.length - 3999);
  const files = [{sha1: sha1(bytes), size: bytes.length, compression: 'none'}];
  server.images = [{uuid: base, bytes, more: {type: 'zvol', files}}];
  const outcome = await run('import', '-q', base);
  expect(outcome.status).toBe(1);
  expect(outcome.stderr).toMatch(
    /error \(InvalidArchive\): The ZFS stream is not valid: the checksum does not match/,
  );
  expect([world.machines(), world.records()]).toEqual([[], []]);
});

test.each(['zone-dataset', 'lx-dataset', 'zvol', 'docker', 'other'])(
  'manifest check takes an image of type %s',
  (type) => {
    const files = [{sha1: 'a'.repeat(40), size: 1, compression: 'gzip'}];
    const more =
      type === 'zvol' ? {nic_driver: 'virtio', disk_driver: 'virtio', cpu_type: 'host', image_size: 32} : {};
    const manifest = {
      v: 2,
      uuid: base,
      name: 'x',
      version: '1',
      type,
      os: 'linux',
      public: true,
      files,
      ...more,
    };
    writeFileSync(path.join(world.directory, 'x.imgmanifest'), JSON.stringify({owner: base, ...manifest}));
    const {status, stdout, stderr} = world.run(['manifest', 'check', 'x.imgmanifest']);
    expect([status, stdout, stderr]).toEqual([0, 'x.imgmanifest: valid\n', '']);
  },
);

test('update brings the manifest of an image up to date, and its stream of changes still goes over it', async () => {
  offer('zvol', 'zvol-8K-c', 'zvol-8K-incr');
  expect((await run('import', '-q', base)).stderr).toBe('');
  const [image] = server.images;
  if (image) image.more = {...image.more, description: 'told later'};
  const updated = await run('update', base);
  expect([updated.status, updated.stdout]).toEqual([0, expect.stringContaining('description')]);
  expect((await run('import', '-q', changed)).stderr).toBe('');
  expect(sha256(readFileSync(stored(`${changed}.raw`)))).toBe(recordedVolume('zvol-8K-incr').sha256);
});
