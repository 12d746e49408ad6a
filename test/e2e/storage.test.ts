/** What images become on each file system: subvolumes, shared blocks, holes, read-only in the way it can be. */
import {execFileSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statfsSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {EmbeddedEngine} from '../../src/engine/embedded/embedded-engine.ts';
import type {ImageStore, ImportRequest, TransferResult} from '../../src/engine/engine.ts';
import {isImmutable} from '../../src/sys/attributes.ts';
import {isBtrfsSubvolume, isSubvolumeReadOnly} from '../../src/sys/btrfs.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {makeStaging} from '../../src/sys/staging.ts';
import {fileSystemKinds, type MountedFileSystem, mountFileSystem} from '../support/file-systems.ts';
import {makeNastyTree} from '../support/nasty-tree.ts';
import {expectSameTree, listTree} from '../support/tree-listing.ts';

const isRoot = process.geteuid?.() === 0;
const megabyte = 1 << 20;

describe.runIf(isRoot).each(fileSystemKinds)('on %s', (kind) => {
  const hasReflinks = kind === 'xfs' || kind === 'btrfs';
  const isBtrfs = kind === 'btrfs';
  let mounted: MountedFileSystem;
  let store: ImageStore;
  let engine: EmbeddedEngine;

  beforeAll(() => {
    mounted = mountFileSystem(kind);
  });
  afterAll(() => mounted.unmount());
  beforeEach(async () => {
    for (const name of readdirSync(mounted.path)) {
      if (name !== 'lost+found') await removeTree(path.join(mounted.path, name));
    }
    store = {imageClass: 'machine', directory: path.join(mounted.path, 'machines')};
    engine = new EmbeddedEngine({runtimeDirectory: path.join(mounted.path, 'run')});
  });

  const at = (name: string) => path.join(mounted.path, name);
  const inStore = (name = '') => path.join(store.directory, name);

  async function run(sourcePath: string, options: Partial<ImportRequest> = {}): Promise<TransferResult> {
    const request: ImportRequest = {format: 'auto', store, localName: 'one', sourcePath, ...options};
    return await (await engine.import(request)).finished;
  }

  async function exportTo(file: string, format: 'tar' | 'raw'): Promise<void> {
    const outputFd = openSync(file, 'w');
    const request = {format, store, localName: 'one', compression: 'uncompressed', outputFd} as const;
    await (await engine.export(request)).finished;
    closeSync(outputFd);
  }

  const details = async () => (await engine.listImages(store, {withHidden: true})).at(-1);

  if (isBtrfs)
    test('the space of a subvolume is told where a quota counts it, and only there', async () => {
      writeFileSync(path.join(makeTree('tree'), 'large'), randomBytes(2 * megabyte));
      await run(at('tree'), {format: 'directory'});
      expect(await details()).toMatchObject({name: 'one', type: 'subvolume', usageBytes: undefined});
      const btrfs = (...args: string[]) => execFileSync('btrfs', args, {stdio: 'pipe'});
      btrfs('quota', 'enable', mounted.path);
      btrfs('quota', 'rescan', '-w', mounted.path);
      btrfs('subvolume', 'snapshot', inStore('one'), inStore('two'));
      writeFileSync(inStore('two/more'), randomBytes(megabyte));
      btrfs('qgroup', 'limit', '64M', inStore('two'));
      btrfs('filesystem', 'sync', mounted.path);
      btrfs('quota', 'rescan', '-w', mounted.path);
      const {usageBytes = 0, exclusiveBytes = 0, limitBytes} = (await details()) ?? {};
      btrfs('quota', 'disable', mounted.path);
      expect(Math.floor(usageBytes / megabyte)).toBe(3);
      expect(Math.floor(exclusiveBytes / megabyte)).toBe(1);
      expect(limitBytes).toBe(64 * megabyte);
      expect(await details()).toMatchObject({name: 'two', usageBytes: undefined, limitBytes: undefined});
    });

  function makeTree(name: string): string {
    mkdirSync(at(`${name}/inner`), {recursive: true});
    writeFileSync(at(`${name}/inner/file`), name);
    return at(name);
  }

  function makeArchive(): string {
    execFileSync('tar', ['-C', makeTree('tree'), '-cf', at('archive'), '.']);
    return at('archive');
  }

  function makeDisk(): string {
    const fd = openSync(at('disk'), 'w');
    ftruncateSync(fd, 64 * megabyte);
    writeSync(fd, Buffer.alloc(16 * megabyte, 'data'), 0, 16 * megabyte, 20 * megabyte);
    closeSync(fd);
    return at('disk');
  }

  function usedBytes(): number {
    execFileSync('sync', ['-f', mounted.path]);
    const {blocks, bfree, bsize} = statfsSync(mounted.path);
    return (blocks - bfree) * bsize;
  }

  /** How a directory is kept from being written. */
  function protectionOf(directory: string): string {
    const fd = openSync(directory, constants.O_RDONLY);
    try {
      if (isBtrfsSubvolume(fd)) return isSubvolumeReadOnly(fd) ? 'subvolume' : 'none';
      return isImmutable(fd) ? 'immutable' : 'none';
    } finally {
      closeSync(fd);
    }
  }

  test('a tree is a subvolume where there are any, and read-only if asked', async () => {
    const {notices} = await run(makeArchive(), {readOnly: true});
    expect(isBtrfsSubvolume(inStore('one'))).toBe(isBtrfs);
    const isProtected = protectionOf(inStore('one')) !== 'none';
    expect(protectionOf(inStore('one'))).toBe(isBtrfs ? 'subvolume' : isProtected ? 'immutable' : 'none');
    expect(notices.length).toBe(isProtected ? 0 : 1); // what cannot be kept is said
    expect(await engine.listImages(store)).toMatchObject([
      {name: 'one', type: isBtrfs ? 'subvolume' : 'directory', readOnly: isProtected},
    ]);
  });

  test('everything an inode has comes through an import and an export', async () => {
    mkdirSync(at('nasty'));
    makeNastyTree(at('nasty'));
    const {pipe: _pipe, ...expected} = listTree(at('nasty'));
    await run(at('nasty'), {format: 'directory'});
    expectSameTree(inStore('one'), at('nasty'), {withoutTopTime: true});
    await exportTo(at('out.tar'), 'tar');
    await run(at('out.tar'), {force: true});
    const top = listTree(inStore('one'))['.'];
    expect(listTree(inStore('one'))).toEqual({...expected, '.': top});
    expect(readdirSync(inStore())).toEqual(['one']);
  });

  test('a disk image shares its blocks with its source, or keeps its holes', async () => {
    const disk = makeDisk();
    const before = usedBytes();
    await run(disk);
    expect(readFileSync(inStore('one.raw')).equals(readFileSync(disk))).toBe(true);
    expect(statSync(inStore('one.raw')).blocks * 512).toBeLessThan(17 * megabyte);
    const used = usedBytes() - before;
    expect(used).toBeLessThan(hasReflinks ? 2 * megabyte : 18 * megabyte);
  });

  test('an exported disk image shares its blocks with the image, or keeps its holes', async () => {
    const disk = makeDisk();
    await run(disk);
    const before = usedBytes();
    await exportTo(at('out.raw'), 'raw');
    expect(readFileSync(at('out.raw')).equals(readFileSync(disk))).toBe(true);
    expect(statSync(at('out.raw')).blocks * 512).toBeLessThan(17 * megabyte);
    expect(usedBytes() - before).toBeLessThan(hasReflinks ? 2 * megabyte : 18 * megabyte);
    expect(readdirSync(inStore())).toEqual(['one.raw']);
  });

  test('with force every form of a name gives way, read-only ones too', async () => {
    const archive = makeArchive();
    const disk = makeDisk();
    const forms = ['one', 'one.raw', 'one.v', 'one.raw.v'];
    for (const [source, left] of [
      [archive, 'one'],
      [disk, 'one.raw'],
    ] as const) {
      for (const form of forms) {
        await removeTree(inStore());
        if (form === 'one') await run(archive, {readOnly: true});
        else if (form === 'one.raw') await run(disk, {readOnly: true});
        else mkdirSync(inStore(form), {recursive: true});
        await run(source, {force: true, readOnly: true});
        expect(readdirSync(inStore())).toEqual([left]);
      }
    }
  });

  test('a directory is copied without what is mounted in it', async () => {
    const tree = makeTree('tree');
    mkdirSync(path.join(tree, 'mount'));
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', path.join(tree, 'mount')]);
    try {
      writeFileSync(path.join(tree, 'mount/secret'), 'not of this tree');
      const {notices} = await run(tree, {format: 'directory'});
      expect(notices).toEqual([expect.stringContaining('mount')]);
      expect(readdirSync(inStore('one/mount'))).toEqual([]);
      await removeTree(inStore('one'));
    } finally {
      execFileSync('umount', [path.join(tree, 'mount')]);
    }
  });

  test('a lone OS tree one directory down is moved up, from a directory as from an archive', async () => {
    mkdirSync(at('outer/os/etc'), {recursive: true});
    writeFileSync(at('outer/os/etc/os-release'), 'ID=test');
    chmodSync(at('outer/os'), 0o750);
    await run(at('outer'), {format: 'directory'});
    expect(readdirSync(inStore('one'))).toEqual(['etc']);
    expect(statSync(inStore('one')).mode & 0o777).toBe(0o750);
  });

  test('what a killed process left is swept, what others left or use is kept', async () => {
    mkdirSync(inStore(), {recursive: true});
    const live = makeStaging(store.directory, 'live');
    const stale = inStore(`.#stale${'0'.repeat(16)}`);
    mkdirSync(path.join(stale, 'tree/deep'), {recursive: true});
    chmodSync(stale, 0o700);
    const foreign = inStore(`.#foreign${'1'.repeat(16)}`);
    mkdirSync(path.join(foreign, 'etc'), {recursive: true});
    await run(makeArchive());
    const names = [path.basename(foreign), path.basename(live.path), 'one'];
    expect(readdirSync(inStore()).sort()).toEqual(names.sort());
    await live.remove();
  });

  if (isBtrfs) {
    test('a subvolume is imported as a snapshot, and no quota is switched on', async () => {
      execFileSync('btrfs', ['-q', 'subvolume', 'create', at('volume')]);
      writeFileSync(at('volume/file'), Buffer.alloc(20 * megabyte, 'x'));
      const before = usedBytes();
      await run(at('volume'), {format: 'directory', readOnly: true});
      expect(usedBytes() - before).toBeLessThan(megabyte);
      const show = (file: string) => execFileSync('btrfs', ['subvolume', 'show', file], {encoding: 'utf8'});
      const uuid = /^\s*UUID:\s*(\S+)/m.exec(show(at('volume')))?.[1];
      expect(/Parent UUID:\s*(\S+)/.exec(show(inStore('one')))?.[1]).toBe(uuid);
      expect(protectionOf(inStore('one'))).toBe('subvolume');
      expect(() => execFileSync('btrfs', ['qgroup', 'show', mounted.path], {stdio: 'pipe'})).toThrow(
        /quota/i,
      );
    });

    test('a tree is exported as it was at one moment, from a snapshot that goes away', async () => {
      await run(makeArchive(), {readOnly: true});
      await exportTo(at('out.tar'), 'tar');
      expect(readdirSync(inStore())).toEqual(['one']);
      expect(execFileSync('tar', ['-xOf', at('out.tar'), './inner/file']).toString()).toBe('tree');
      const list = execFileSync('btrfs', ['subvolume', 'list', mounted.path], {encoding: 'utf8'});
      expect(list.trim().split('\n').length).toBe(1);
    });

    test('a disk image that is written is not copied on every write', async () => {
      const disk = readFileSync(makeDisk());
      writeFileSync(at('disk.gz'), execFileSync('gzip', ['-1c', at('disk')], {maxBuffer: 64 * megabyte}));
      await run(at('disk.gz'));
      expect(execFileSync('lsattr', [inStore('one.raw')], {encoding: 'utf8'})).toMatch(/^[^ ]*C/);
      expect(readFileSync(inStore('one.raw')).equals(disk)).toBe(true);
    });
  }
});
