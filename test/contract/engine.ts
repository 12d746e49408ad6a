/**
 * What every engine promises (src/engine/engine.ts). Each implementation runs it against a fresh, empty store:
 * `describe('…', () => engineContract(factory))`.
 */
import {execFileSync, spawn} from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {gzipSync, zstdCompressSync} from 'node:zlib';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {canDigest, canMark, canRemove} from '../../src/engine/capabilities.ts';
import type {
  Engine,
  ExportRequest,
  ImageStore,
  ImportRequest,
  TransferResult,
} from '../../src/engine/engine.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {makeDisk, makeQcow2} from '../support/qcow2.ts';
import type {Lacks} from './engine-lacks.ts';
import {enginePullContract} from './engine-pulls.ts';

export interface EngineUnderTest {
  engine: Engine;
  store: ImageStore;
  lacks?: Lacks;
  close?: () => Promise<void>;
}

export function engineContract(open: () => Promise<EngineUnderTest>): void {
  let subject: EngineUnderTest;
  let sources: string;

  beforeEach(async () => {
    subject = await open();
    sources = mkdtempSync(path.join(tmpdir(), 'imgctl-sources-'));
  });
  afterEach(async () => {
    await removeTree(sources);
    // Its directory may be a mount.
    for (const name of inStore()) await removeTree(path.join(subject.store.directory, name));
    await subject.close?.();
  });

  const inStore = () =>
    existsSync(subject.store.directory) ? readdirSync(subject.store.directory).sort() : [];

  function source(name: string, contents: Buffer | string): string {
    const file = path.join(sources, name);
    writeFileSync(file, contents);
    return file;
  }

  function treeSource(...files: string[]): string {
    const tree = mkdtempSync(path.join(sources, 'tree-'));
    for (const file of files) {
      mkdirSync(path.dirname(path.join(tree, file)), {recursive: true});
      writeFileSync(path.join(tree, file), `contents of ${file}`);
    }
    return tree;
  }

  function tarSource(...files: string[]): string {
    const archive = path.join(sources, `archive-${Math.random()}.tar`);
    execFileSync('tar', ['-C', treeSource(...files), '-cf', archive, '.']);
    return archive;
  }

  const lacks = (): Lacks => subject.lacks ?? {};

  /** An import that has started and does not end before `release` is called. */
  async function startHeld(options: {localName: string; signal?: AbortSignal}) {
    const {promise, resolve} = Promise.withResolvers<void>();
    const disk = Buffer.alloc(4 << 20, 'x');
    const request = {store: subject.store, ...options};
    if (!lacks().lateCommit) {
      const sourcePath = source('disk', disk);
      const beforeCommit = () => promise;
      const transfer = await subject.engine.import({...request, format: 'auto', sourcePath, beforeCommit});
      return {transfer, release: resolve};
    }
    const sourcePath = path.join(sources, `pipe-${Math.random()}`);
    execFileSync('mkfifo', [sourcePath]);
    const writer = openSync(sourcePath, 'r+');
    const transfer = await subject.engine.import({...request, format: 'raw', sourcePath});
    const release = () => {
      const copy = spawn('cat', [source('disk', disk)], {stdio: ['ignore', writer, 'ignore']});
      closeSync(writer);
      copy.unref();
    };
    return {transfer, release};
  }

  async function run(sourcePath: string, options: Partial<ImportRequest> = {}): Promise<TransferResult> {
    const request: ImportRequest = {
      format: 'auto',
      store: subject.store,
      localName: 'one',
      sourcePath,
      ...options,
    };
    return await (await subject.engine.import(request)).finished;
  }

  describe('pull', () => enginePullContract(open));

  describe('import', () => {
    test('stores a tar archive as a directory, under every compression', async () => {
      const archive = readFileSync(tarSource('etc/hostname', 'deep/er/file'));
      const packed = {plain: archive, gzip: gzipSync(archive), zstd: zstdCompressSync(archive)};
      for (const [localName, bytes] of Object.entries(packed)) {
        const running = run(source(localName, bytes), {localName});
        if (localName === 'zstd' && lacks().zstd) {
          await expect(running).rejects.toMatchObject({code: 'NotSupported'});
          continue;
        }
        const result = await running;
        expect(result).toEqual({
          path: path.join(subject.store.directory, localName),
          format: 'tar',
          notices: [],
        });
        expect(readFileSync(path.join(result.path, 'etc/hostname'), 'utf8')).toBe('contents of etc/hostname');
      }
      expect(inStore()).toEqual(lacks().zstd ? ['gzip', 'plain'] : ['gzip', 'plain', 'zstd']);
    });

    test('stores anything else as a raw disk image, sparse and of the same bytes', async () => {
      const disk = Buffer.alloc(8 << 20);
      disk.write('boot', 0);
      disk.write('end', disk.length - 3);
      for (const [localName, bytes] of Object.entries({plain: disk, gzip: gzipSync(disk)})) {
        const result = await run(source(localName, bytes), {localName});
        expect(result).toMatchObject({
          path: path.join(subject.store.directory, `${localName}.raw`),
          format: 'raw',
        });
        expect(readFileSync(result.path).equals(disk)).toBe(true);
        expect(statSync(result.path).mode & 0o7777).toBe(0o644);
      }
      expect(inStore()).toEqual(['gzip.raw', 'plain.raw']);
    });

    test('stores the disk inside a qcow2 image, under every compression', async () => {
      const disk = makeDisk(path.join(sources, 'disk.raw'), lacks().qcow2 ? 2 << 20 : 2_000_384);
      const zstdClusters = readFileSync(makeQcow2(disk, 'compression_type=zstd', true));
      if (lacks().qcow2) {
        const refused = run(source('zstd', gzipSync(zstdClusters)), {localName: 'refused'});
        await expect(refused).rejects.toMatchObject({code: 'NotSupported'});
      }
      const image = lacks().qcow2 ? readFileSync(makeQcow2(disk, 'compression_type=zlib')) : zstdClusters;
      const packed = {
        plain: image,
        gzip: gzipSync(image),
        zstd: lacks().zstd ? image : zstdCompressSync(image),
      };
      for (const [localName, bytes] of Object.entries(packed)) {
        const result = await run(source(localName, bytes), {localName});
        expect(result).toMatchObject({format: 'raw'});
        expect(readFileSync(result.path).equals(readFileSync(disk))).toBe(true);
      }
      const cut = run(source('cut', image.subarray(0, 200_000)), {localName: 'cut'});
      await expect(cut).rejects.toMatchObject({code: 'InvalidArchive', details: {errno: 'EIO'}});
      if (!lacks().unpackedLimit) {
        const large = run(source('large', image), {localName: 'large', maxUnpackedBytes: 1_000_000});
        await expect(large).rejects.toMatchObject({code: 'LimitExceeded'});
      }
      expect(inStore()).toEqual(['gzip.raw', 'plain.raw', 'zstd.raw']);
    });

    test('the format can be said instead of found', async () => {
      const archive = tarSource('file');
      expect((await run(archive, {format: 'raw'})).path).toMatch(/one\.raw$/);
      await expect(run(source('x', 'no archive'), {format: 'tar', localName: 'two'})).rejects.toMatchObject({
        code: 'InvalidArchive',
      });
    });

    test('stores a copy of a directory', async () => {
      const tree = treeSource('a/b', 'c');
      symlinkSync('c', path.join(tree, 'link'));
      const result = await run(tree, {format: 'directory'});
      expect(result).toMatchObject({format: 'directory'});
      expect(readFileSync(path.join(result.path, 'link'), 'utf8')).toBe('contents of c');
      expect(existsSync(path.join(tree, 'a/b'))).toBe(true);
    });

    test('moves an OS tree that lies one directory down to the top, but no other tree', async () => {
      await run(tarSource('os/etc/os-release', 'os/os/file'));
      expect(readdirSync(path.join(subject.store.directory, 'one')).sort()).toEqual(['etc', 'os']);
      await run(tarSource('data/file'), {localName: 'two'});
      expect(readdirSync(path.join(subject.store.directory, 'two'))).toEqual(['data']);
    });

    test.each(['', '.', '..', 'a/b', '.#temp', 'new\nline', 'x'.repeat(256)])(
      'refuses the name %j',
      async (localName) => {
        await expect(run(tarSource('file'), {localName})).rejects.toMatchObject({code: 'InvalidArgument'});
        expect(inStore()).toEqual([]);
      },
    );

    test('refuses a name that exists in any form, and says where', async () => {
      mkdirSync(subject.store.directory, {recursive: true});
      for (const form of lacks().seesEveryForm ? ['one'] : ['one', 'one.raw', 'one.v', 'one.raw.v']) {
        mkdirSync(path.join(subject.store.directory, form));
        await expect(run(tarSource('file'))).rejects.toMatchObject({
          code: 'ImageAlreadyExists',
          message: `image "one" already exists in "${subject.store.directory}"`,
        });
        rmSync(path.join(subject.store.directory, form), {recursive: true});
      }
    });

    test('with force the new image is the only form of the name, read-only or not', async () => {
      const archive = tarSource('new');
      const disk = source('disk', Buffer.alloc(4096, 'disk'));
      await run(archive, {readOnly: true});
      await run(disk, {force: true, readOnly: true});
      expect(inStore()).toEqual(lacks().replacesOtherForms ? ['one', 'one.raw'] : ['one.raw']);
      if (lacks().replacesOtherForms) await removeTree(path.join(subject.store.directory, 'one.raw'));
      if (lacks().replacesReadOnly) {
        await expect(run(archive, {force: true})).rejects.toMatchObject({code: 'NotAuthorized'});
        await removeTree(path.join(subject.store.directory, 'one'));
      }
      await run(archive, {force: true, readOnly: !lacks().replacesReadOnly});
      expect(inStore()).toEqual(['one']);
      await run(tarSource('newer'), {force: true});
      expect(readdirSync(path.join(subject.store.directory, 'one'))).toEqual(['newer']);
      expect(inStore()).toEqual(['one']);
    });

    test('beforeCommit is called once, with nothing visible; its failure leaves nothing', async () => {
      const seen: string[][] = [];
      const visible = () => inStore().filter((name) => !name.startsWith('.#'));
      await run(tarSource('file'), {beforeCommit: async () => void seen.push(visible())});
      expect(seen).toEqual([[]]);
      const beforeCommit = () => Promise.reject(new Error('the record cannot be written'));
      await expect(run(tarSource('file'), {localName: 'two', beforeCommit})).rejects.toThrow(
        'the record cannot be written',
      );
      expect(inStore()).toEqual(['one']);
    });

    test('the digest told before the commit is that of the image, until the image is changed', async () => {
      const {engine, store} = subject;
      if (!canDigest(engine)) return;
      const {signal} = new AbortController();
      for (const [localName, bytes] of [
        ['tree', tarSource('file')],
        ['disk', source('disk', Buffer.alloc(1 << 20, 'x'))],
      ] as const) {
        let told: string | undefined;
        const beforeCommit = async ({contentDigest}: {contentDigest?: string | undefined}) => {
          told = contentDigest;
        };
        await run(bytes, {localName, digestContents: true, beforeCommit});
        expect(told).toMatch(/^sha256:[0-9a-f]{64}$/);
        expect(await engine.digestImage(store, localName, signal)).toBe(told);
        const [changed = ''] = [`${localName}/file`, `${localName}.raw`]
          .map((name) => path.join(store.directory, name))
          .filter((file) => existsSync(file));
        appendFileSync(changed, 'more');
        expect(await engine.digestImage(store, localName, signal)).not.toBe(told);
      }
      await expect(engine.digestImage(store, 'gone', signal)).rejects.toMatchObject({
        code: 'ImageNotInstalled',
      });
    });

    test('cancel and abort end with Interrupted and leave nothing', async () => {
      const controller = new AbortController();
      for (const stop of ['cancel', 'abort']) {
        const {transfer, release} = await startHeld({localName: stop, signal: controller.signal});
        if (stop === 'cancel') transfer.cancel();
        else controller.abort();
        if (!lacks().lateCommit) release();
        await expect(transfer.finished).rejects.toMatchObject({code: 'Interrupted'});
        expect(inStore()).toEqual([]);
      }
      const sourcePath = tarSource('file');
      const late = run(sourcePath, {localName: 'late', signal: controller.signal});
      await expect(late).rejects.toMatchObject({code: 'Interrupted'});
    });

    test('damaged and truncated files leave nothing', async () => {
      const archive = readFileSync(tarSource('a', 'b', 'c'));
      const packed = gzipSync(archive);
      const cases: [Buffer, string][] = [
        [packed.subarray(0, packed.length - 4), 'UncompressionError'],
        [Buffer.concat([packed, Buffer.from('x')]), 'UncompressionError'],
        [archive.subarray(0, 1200), 'InvalidArchive'],
      ];
      for (const [bytes, code] of lacks().strictDecoders ? [] : cases) {
        await expect(run(source('damaged', bytes))).rejects.toMatchObject({code});
        expect(inStore()).toEqual([]);
      }
    });

    test('what cannot be stored is refused by name before anything is written', async () => {
      const stream = Buffer.alloc(1024);
      stream.writeBigUInt64LE(0x2f5bacbacn, 8);
      stream.writeBigUInt64LE((1n << 26n) | 1n, 16); // encrypted
      for (const bytes of [stream, gzipSync(stream)]) {
        const result = run(source('stream', bytes));
        await expect(result).rejects.toMatchObject({
          code: 'NotSupported',
          message: expect.stringMatching(/ZFS (send )?stream/),
        });
      }
      const disk = source(
        'disk',
        Buffer.concat([Buffer.from('514649fb00000003', 'hex'), Buffer.alloc(1000, 1)]),
      );
      await expect(run(disk)).rejects.toMatchObject({
        code: 'NotSupported',
        message: expect.stringContaining('qcow2'),
      });
      expect(inStore()).toEqual([]);
    });

    test('more bytes than allowed end with LimitExceeded', async () => {
      if (lacks().unpackedLimit) {
        await run(source('zeros', Buffer.alloc(4 << 20)), {maxUnpackedBytes: 1 << 20});
        expect(inStore()).toEqual(['one.raw']);
        return;
      }
      const zeros = source('zeros', gzipSync(Buffer.alloc(4 << 20)));
      await expect(run(zeros, {maxUnpackedBytes: 1 << 20})).rejects.toMatchObject({code: 'LimitExceeded'});
      const plain = source('plain', Buffer.alloc(4 << 20));
      await expect(run(plain, {maxUnpackedBytes: 1 << 20})).rejects.toMatchObject({code: 'LimitExceeded'});
      expect(inStore()).toEqual([]);
    });

    test('a source that is not there or no file fails with its name', async () => {
      await expect(run('/nonexistent/file')).rejects.toMatchObject({
        code: 'FileSystem',
        message: expect.stringContaining('/nonexistent/file'),
      });
      await expect(run(sources)).rejects.toMatchObject({code: 'InvalidArgument'});
      await expect(run('relative')).rejects.toMatchObject({code: 'InvalidArgument'});
    });
  });

  describe('export', () => {
    async function runExport(format: 'tar' | 'raw', options: Partial<ExportRequest> = {}): Promise<string> {
      const output = path.join(sources, `output-${Math.random()}`);
      const outputFd = openSync(output, 'wx');
      try {
        const request = {
          format,
          store: subject.store,
          localName: 'one',
          compression: 'uncompressed',
          outputFd,
        };
        const transfer = await subject.engine.export({...(request as ExportRequest), ...options});
        expect(transfer).toMatchObject({
          type: `export-${format}`,
          localName: options.localName ?? 'one',
          remote: '',
        });
        expect(await transfer.finished).toMatchObject({format, notices: []});
      } finally {
        closeSync(outputFd);
      }
      return output;
    }

    test('a disk image comes out as it went in', async () => {
      const disk = Buffer.alloc(5 << 20);
      disk.write('data', 1 << 20);
      await run(source('disk', disk));
      expect(readFileSync(await runExport('raw')).equals(disk)).toBe(true);
    });

    test('a tree comes out as a tar archive in the order of names', async () => {
      await run(tarSource('b', 'a/inner'));
      const archive = await runExport('tar');
      const names = execFileSync('tar', ['-tf', archive]).toString().trim().split('\n');
      const inOrder = lacks().sortedArchives ? names.sort() : names;
      expect(inOrder).toEqual(['./', './a/', './a/inner', './b']);
      expect(execFileSync('tar', ['-xOf', archive, './a/inner']).toString()).toBe('contents of a/inner');
    });

    test('an image of the other kind, a missing one and a bad name are refused', async () => {
      await run(tarSource('file'));
      await expect(runExport('raw')).rejects.toMatchObject({
        code: 'InvalidArgument',
        details: {errno: 'EISDIR'},
      });
      await run(source('disk', Buffer.alloc(4096, 'disk')), {localName: 'two'});
      await expect(runExport('tar', {localName: 'two'})).rejects.toMatchObject({
        code: 'InvalidArgument',
        details: {errno: 'ENOTDIR'},
      });
      await expect(runExport('raw', {localName: 'three'})).rejects.toMatchObject({code: 'ImageNotInstalled'});
      await expect(runExport('raw', {localName: 'a/b'})).rejects.toMatchObject({code: 'InvalidArgument'});
      expect(await subject.engine.listTransfers()).toEqual([]);
    });
  });

  test('a running transfer is listed with its progress, a finished one is not', async () => {
    const {transfer, release} = await startHeld({localName: 'one'});
    const fractions: (number | undefined)[] = [];
    transfer.onProgress((fraction) => fractions.push(fraction));
    const lines: string[] = [];
    transfer.onLog((_level, line) => lines.push(line));
    const {id} = transfer;
    expect(await subject.engine.listTransfers()).toEqual([
      expect.objectContaining({
        id,
        type: 'import-raw',
        imageClass: subject.store.imageClass,
        localName: 'one',
        remote: '',
      }),
    ]);
    release();
    await transfer.finished;
    expect(fractions.at(-1)).toBe(1);
    expect(lines.length).toBeGreaterThan(1);
    expect(await subject.engine.listTransfers()).toEqual([]);
  });

  test('listImages shows images of every kind and nothing else', async () => {
    expect(await subject.engine.listImages(subject.store)).toEqual([]);
    await run(tarSource('file'), {localName: 'b tree'});
    await run(source('disk', Buffer.alloc(65_536, 'x')), {localName: 'a-disk', readOnly: true});
    mkdirSync(path.join(subject.store.directory, '.#half'));
    mkdirSync(path.join(subject.store.directory, '.hidden'));
    writeFileSync(path.join(subject.store.directory, 'a-disk.nspawn'), '');
    const images = await subject.engine.listImages(subject.store);
    expect(images).toMatchObject([
      {name: 'a-disk', type: 'raw', readOnly: true, limitBytes: 65_536, usageBytes: 65_536},
      {name: 'b tree', readOnly: false, path: path.join(subject.store.directory, 'b tree')},
    ]);
    expect(images[1]?.type).toMatch(/^(directory|subvolume)$/);
    expect(images[0]?.createdUs).toBeGreaterThan(1e15);
  });

  test('an image can be removed, read-only ones with their siblings too', async () => {
    if (!canRemove(subject.engine)) return;
    expect(await subject.engine.removeImage(subject.store, 'one')).toBe(false);
    await run(tarSource('a/b/c'), {readOnly: true});
    await run(source('disk', Buffer.alloc(4096, 'x')), {localName: 'two', readOnly: true});
    writeFileSync(path.join(subject.store.directory, 'one.nspawn'), '');
    expect(await subject.engine.removeImage(subject.store, 'one')).toBe(true);
    expect(inStore()).toEqual(['two.raw']);
    expect(await subject.engine.removeImage(subject.store, 'two')).toBe(true);
    expect(inStore()).toEqual([]);
  });

  test('an image can be marked read-only later', async () => {
    if (!canMark(subject.engine)) return;
    await run(tarSource('file'));
    await run(source('disk', Buffer.alloc(4096, 'x')), {localName: 'two'});
    for (const name of ['one', 'two']) await subject.engine.markReadOnly(subject.store, name);
    expect((await subject.engine.listImages(subject.store)).map((image) => image.readOnly)).toEqual([
      true,
      true,
    ]);
    await expect(subject.engine.markReadOnly(subject.store, 'three')).rejects.toMatchObject({
      code: 'ImageNotInstalled',
    });
  });
}
