/**
 * Recorded ZFS streams stored as images by the engine: what lies on the disk is what the mounted snapshots held. Those
 * of each kind here, and all with IMGCTL_ALL_STREAMS=1; every one is read in test/unit/formats/zfs-stream.
 */
import {spawnSync} from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {EmbeddedEngine} from '../../src/engine/embedded/embedded-engine.ts';
import type {ImportRequest, TransferResult} from '../../src/engine/engine.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {fixturePath} from '../fixtures-dir.ts';
import {recordedFileSystems, recordedVolumes} from '../support/recorded-streams.ts';
import {storedTree} from '../support/recorded-tree.ts';
import {expectSameLines, recordedTree, recordedVolume, sha256, type TreeLine} from '../support/zfs-stream.ts';
import {entryOf, microZap, packAttributes, rootObject, TestStream, types} from '../support/zfs-writer.ts';

const isRoot = process.geteuid?.() === 0;
let directory: string;
let engine: EmbeddedEngine;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-zfs-'));
  engine = new EmbeddedEngine({runtimeDirectory: path.join(directory, 'run')});
});
afterEach(async () => {
  for (const name of namesIn().filter((each) => !each.startsWith('.')))
    await engine.removeImage(store(), name.replace(/\.raw$/, ''));
  await removeTree(directory);
});

const store = () => ({imageClass: 'machine', directory: path.join(directory, 'machines')}) as const;
const namesIn = () => (existsSync(store().directory) ? readdirSync(store().directory).sort() : []);
const recorded = (name: string) => fixturePath('fixtures', 'zfs', `${name}.zfs.gz`);

async function run(sourcePath: string, options: Partial<ImportRequest> = {}): Promise<TransferResult> {
  const request: ImportRequest = {format: 'auto', store: store(), localName: 'image', sourcePath, ...options};
  return await (await engine.import(request)).finished;
}

/** Stores streams one over the other, read-only as images are; returns what became of the last. */
async function runChain(streams: readonly string[]): Promise<TransferResult> {
  let result: TransferResult | undefined;
  for (const [index, name] of streams.entries()) {
    const origin = index > 0 ? {origin: {store: store(), localName: `image${index - 1}`}} : {};
    result = await run(recorded(name), {localName: `image${index}`, readOnly: true, ...origin});
  }
  if (!result) throw new Error('No stream was given');
  return result;
}

const ofEachKind = new Set([
  'fs-p',
  'fs-incr2',
  'fs-replicate',
  'fs-1m-incr-L',
  'fs-embspill-ec',
  'fs-mixcomp-ec',
  'fs-v28-zpl3',
  'zvol-8K-incr',
  'zvol-64K-incr-c',
]);

function chosen<Row extends readonly [stream: string, ...rest: unknown[]]>(rows: readonly Row[]): Row[] {
  return rows.filter(([stream]) => process.env.IMGCTL_ALL_STREAMS === '1' || ofEachKind.has(stream));
}

describe.runIf(isRoot)('a file system is stored exactly', () => {
  test.each(chosen(recordedFileSystems))('%s: %s', async (stream, truth, over = []) => {
    const result = await runChain([...over, stream]);
    expect(result.notices).toEqual([]);
    expectSameLines(storedTree(result.path), recordedTree(truth));
  });
});

describe('a volume is stored as a sparse disk', () => {
  test.each(chosen(recordedVolumes))('%s: %s', async (stream, truth, over = []) => {
    const {path: disk, format} = await runChain([...over, stream]);
    const {size, sha256: digest} = recordedVolume(truth);
    expect({format, size: statSync(disk).size, digest: sha256(readFileSync(disk))}).toEqual({
      format: 'raw',
      size,
      digest,
    });
    expect(statSync(disk).blocks * 512).toBeLessThan(size);
  });
});

describe('changes and their origin', () => {
  const over = (localName: string) => ({localName: 'changed', origin: {store: store(), localName}});
  const refused = {code: 'OriginNotInstalled'};

  test('without an origin they are refused before anything is written', async () => {
    await expect(run(recorded('zvol-8K-incr'))).rejects.toMatchObject(refused);
    await expect(run(recorded('fs-1m-incr-L'))).rejects.toMatchObject(refused);
    expect(namesIn()).toEqual([]);
  });

  test('over another origin they are refused, and both GUIDs are named', async () => {
    await run(recorded('zvol-64K-c'), {localName: 'other'});
    await expect(run(recorded('zvol-8K-incr'), over('other'))).rejects.toMatchObject({
      ...refused,
      message: expect.stringMatching(/^The ZFS stream was made from another origin: .* GUID \d+, .* is \d+$/),
    });
    await run(recorded('fs-zstd-c'), {localName: 'tree'});
    await expect(run(recorded('zvol-8K-incr'), over('tree'))).rejects.toMatchObject(refused);
    expect(namesIn()).toEqual(['.other.zfs', '.tree.zfs', 'other.raw', 'tree']);
  });

  test('over an origin that was written to they are refused', async () => {
    await run(recorded('zvol-8K-c'), {localName: 'disk'});
    utimesSync(path.join(store().directory, 'disk.raw'), 1, 1);
    await expect(run(recorded('zvol-8K-incr'), over('disk'))).rejects.toMatchObject(refused);
    await run(recorded('fs-1m-split'), {localName: 'tree'});
    const [file] = storedTree(path.join(store().directory, 'tree')).filter(({type}) => type === 'file');
    appendFileSync(path.join(store().directory, 'tree', file?.path ?? ''), 'more');
    await expect(run(recorded('fs-1m-incr-L'), over('tree'))).rejects.toMatchObject({
      ...refused,
      message: `The installed origin was changed: "${file?.path}" is not as it was stored`,
    });
    expect(namesIn()).toEqual(['.disk.zfs', '.tree.zfs', 'disk.raw', 'tree']);
  });

  test('over an origin whose state is gone or damaged they are refused', async () => {
    await run(recorded('zvol-8K-c'), {localName: 'disk'});
    const state = path.join(store().directory, '.disk.zfs');
    const bytes = readFileSync(state);
    for (const damaged of [bytes.subarray(0, -9), Buffer.alloc(0), Buffer.from(bytes).fill(7, 40, 41)]) {
      writeFileSync(state, damaged);
      await expect(run(recorded('zvol-8K-incr'), over('disk'))).rejects.toMatchObject(refused);
    }
    unlinkSync(state);
    await expect(run(recorded('zvol-8K-incr'), over('disk'))).rejects.toMatchObject({
      ...refused,
      hint: 'Delete the origin and import it again from its ZFS stream',
    });
  });

  test('what changes are applied to goes with its image, and never stays beside another', async () => {
    await run(recorded('zvol-8K-c'), {readOnly: true});
    expect(namesIn()).toEqual(['.image.zfs', 'image.raw']);
    await run(recorded('fs-zstd-c'), {force: true});
    expect(namesIn()).toEqual(['.image.zfs', 'image']);
    const plain = path.join(directory, 'plain.raw');
    writeFileSync(plain, Buffer.alloc(4096, 1));
    await run(plain, {force: true});
    expect(namesIn()).toEqual(['image.raw']);
    await run(recorded('zvol-8K-c'), {force: true});
    await engine.removeImage(store(), 'image');
    expect(namesIn()).toEqual([]);
  });
});

describe.runIf(isRoot)('an ordinary user', () => {
  const nobody = 65534;
  const script = path.join(import.meta.dirname, '../support/import-process.ts');

  /** The last line of the process that imports. */
  function runAsNobody(stream: string, more: object): Record<string, unknown> {
    const home = path.join(directory, 'home');
    const sourcePath = path.join(directory, stream);
    copyFileSync(recorded(stream), sourcePath);
    chmodSync(sourcePath, 0o644);
    const order = {
      directory: path.join(home, 'machines'),
      runtimeDirectory: path.join(home, 'run'),
      sourcePath,
    };
    const argument = JSON.stringify({...order, localName: stream, ...more});
    const options = {uid: nobody, gid: nobody, encoding: 'utf8', cwd: home} as const;
    const {stdout} = spawnSync(process.execPath, ['--disable-warning=DEP0005', script, argument], options);
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  }

  beforeEach(() => {
    chmodSync(directory, 0o755);
    mkdirSync(path.join(directory, 'home'));
    chownSync(path.join(directory, 'home'), nobody, nobody);
  });

  test('gets the tree without what only root can make, and is told; all contents and times are there', () => {
    const {path: tree, notices} = runAsNobody('fs-plain', {});
    expect(
      (notices as string[])
        .map((notice) => /owner|set-user-id|device nodes|extended attribute/.exec(notice)?.[0])
        .sort(),
    ).toEqual(['device nodes', 'extended attribute', 'owner', 'set-user-id']);
    const comparable = (lines: TreeLine[]) =>
      lines
        .filter(({type}) => type !== 'char' && type !== 'block')
        .map(({uid, gid, xattrs, mode, ...rest}) => ({...rest, mode: String(mode).slice(1)}));
    expectSameLines(comparable(storedTree(String(tree))), comparable(recordedTree('fs-plain')));
  });

  test('gets changed disks, and trees as far as their modes let their owner read', () => {
    const store = {imageClass: 'machine', directory: path.join(directory, 'home/machines')};
    runAsNobody('zvol-8K-c', {});
    const {path: disk} = runAsNobody('zvol-8K-incr', {origin: {store, localName: 'zvol-8K-c'}});
    expect(sha256(readFileSync(String(disk)))).toBe(recordedVolume('zvol-8K-incr').sha256);
    runAsNobody('fs-1m-split', {});
    const refused = runAsNobody('fs-1m-incr-L', {origin: {store, localName: 'fs-1m-split'}});
    expect(refused).toMatchObject({
      code: 'FileSystem',
      message: expect.stringMatching(/^This user cannot read/),
    });
  });
});

test('a zone, whose system is one directory down, is moved up, and changes find its files there', async () => {
  const dir = packAttributes({mode: 0o040755, links: 2});
  const file = (bytes: Buffer) => packAttributes({mode: 0o100644, size: bytes.length});
  const [zone, etc, release, large, added] = [6, 7, 8, 9, 10];
  const [id, body] = [Buffer.from('ID=zone\n'), Buffer.alloc(1024, 'old')];
  const whole = new TestStream();
  const inEtc: [string, bigint][] = [
    ['os-release', entryOf(release, 'file')],
    ['large', entryOf(large, 'file')],
  ];
  const before = [
    whole.fileSystem(),
    whole.node(rootObject, types.dir, dir, microZap([['root', entryOf(zone, 'dir')]])),
    whole.node(zone, types.dir, dir, microZap([['etc', entryOf(etc, 'dir')]])),
    whole.node(etc, types.dir, dir, microZap(inEtc)),
    whole.node(release, types.file, file(id), id),
    whole.node(large, types.file, file(body), body),
    whole.end(),
  ];
  const changes = new TestStream();
  const after = [
    changes.begin({kind: 'file system', guid: '4713', fromGuid: '4711', name: 'test/fs@next'}),
    changes.node(etc, types.dir, dir, microZap([...inEtc, ['added', entryOf(added, 'file')]])),
    changes.write(large, 512, Buffer.alloc(512, 'new')),
    changes.node(added, types.file, file(id), id),
    changes.end(),
  ];
  writeFileSync(path.join(directory, 'whole'), Buffer.concat(before));
  writeFileSync(path.join(directory, 'changes'), Buffer.concat(after));
  await run(path.join(directory, 'whole'), {localName: 'zone'});
  const origin = {store: store(), localName: 'zone'};
  const {path: tree} = await run(path.join(directory, 'changes'), {localName: 'changed', origin});
  expect(storedTree(tree).map((line) => line.path)).toEqual([
    '.',
    'etc',
    'etc/added',
    'etc/large',
    'etc/os-release',
  ]);
  expect(readFileSync(path.join(tree, 'etc/os-release'))).toEqual(id);
  const expected = Buffer.concat([body.subarray(0, 512), Buffer.alloc(512, 'new')]);
  expect(readFileSync(path.join(tree, 'etc/large'))).toEqual(expected);
});

test('what a killed import left is cleared away by the next', async () => {
  const left = path.join(store().directory, '.#image0123456789abcdef');
  mkdirSync(path.join(left, 'objects'), {recursive: true});
  chmodSync(left, 0o700);
  for (const name of ['objects/7', 'raw', 'side.unnamed', 'side.zfs'])
    writeFileSync(path.join(left, name), '');
  await run(recorded('zvol-16K-c'));
  expect(namesIn()).toEqual(['.image.zfs', 'image.raw']);
});
