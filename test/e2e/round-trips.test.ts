/**
 * Every format out is read by the tools it belongs to and by the real importd, and every format they write is read
 * here: the same bytes, and for trees the same of everything that an inode has.
 */
import {execFileSync} from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {EmbeddedEngine} from '../../src/engine/embedded/embedded-engine.ts';
import type {ExportCompression, ImageStore} from '../../src/engine/engine.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {makeNastyTree} from '../support/nasty-tree.ts';
import {hasOracle, runInOracle} from '../support/oracle.ts';
import {makeDisk, makeQcow2} from '../support/qcow2.ts';
import {listTree} from '../support/tree-listing.ts';

const compressions = ['uncompressed', 'gzip', 'bzip2', 'xz', 'zstd'] as const;
const tools = {gzip: ['gzip'], bzip2: ['bzip2'], xz: ['xz'], zstd: ['zstd', '-q']} as const;
const allMetadata = ['--numeric-owner', '--acls', '--xattrs', '--xattrs-include=*'];

let directory: string;
let store: ImageStore;
let engine: EmbeddedEngine;
let disk: string;
/** The tree without its named pipe, which archives leave out. */
let tree: Record<string, string>;
/** The tree once it was imported, which gives its top a new time. */
let stored: Record<string, string>;

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-round-trips-'));
  store = {imageClass: 'machine', directory: path.join(directory, 'machines')};
  engine = new EmbeddedEngine({runtimeDirectory: path.join(directory, 'run')});
  disk = makeDisk(path.join(directory, 'disk.raw'), 5_000_192);
  const source = path.join(directory, 'source');
  mkdirSync(source);
  makeNastyTree(source);
  await importFile(source, 'tree', 'directory');
  await importFile(disk, 'disk', 'raw');
  ({
    pipe: {},
    ...tree
  } = listTree(source) as {pipe: object} & Record<string, string>);
  stored = {...tree, '.': listTree(path.join(store.directory, 'tree'))['.'] ?? ''};
});
afterAll(() => removeTree(directory));

async function importFile(
  sourcePath: string,
  localName: string,
  format: 'auto' | 'directory' | 'raw' = 'auto',
) {
  const request = {format, store, localName, sourcePath, force: true} as const;
  return await (await engine.import(request)).finished;
}

async function exportFile(localName: 'tree' | 'disk', compression: ExportCompression): Promise<string> {
  const output = path.join(directory, `${localName}.${compression}`);
  const outputFd = openSync(output, 'w');
  try {
    const format = localName === 'tree' ? 'tar' : 'raw';
    await (await engine.export({format, store, localName, compression, outputFd})).finished;
  } finally {
    closeSync(outputFd);
  }
  return output;
}

function decompressed(file: string, compression: ExportCompression): Buffer {
  if (compression === 'uncompressed') return readFileSync(file);
  const [program, ...list] = tools[compression];
  return execFileSync(program, [...list, '-dc', file], {
    maxBuffer: 64 << 20,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** The file packed by the tool of a compression. */
function packed(file: string, compression: ExportCompression): string {
  if (compression === 'uncompressed') return file;
  const [program, ...list] = tools[compression];
  const output = `${file}.${compression}`;
  writeFileSync(output, execFileSync(program, [...list, '-c', file], {maxBuffer: 64 << 20}));
  return output;
}

describe.runIf(process.geteuid?.() === 0)('what we write', () => {
  test.each(compressions)('as a tar archive with %s, is read by the tools', async (compression) => {
    const archive = await exportFile('tree', compression);
    const bytes = decompressed(archive, compression);
    const target = mkdtempSync(path.join(directory, 'unpacked-'));
    execFileSync('tar', [...allMetadata, '-xpf', '-', '-C', target], {input: bytes});
    expect(listTree(target)).toEqual(stored);
    expect(bytes.equals(readFileSync(await exportFile('tree', 'uncompressed')))).toBe(true);
  });

  test.each(compressions)('as a disk image with %s, is read by the tools', async (compression) => {
    const image = await exportFile('disk', compression);
    const bytes = decompressed(image, compression);
    expect(bytes.equals(readFileSync(disk))).toBe(true);
  });

  test('as a plain disk image, is read by qemu-img', async () => {
    const image = await exportFile('disk', 'uncompressed');
    const compared = execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', image, disk]);
    expect(compared.toString()).toBe('Images are identical.\n');
  });

  test('comes back through our own import', async () => {
    for (const compression of compressions) {
      await importFile(await exportFile('tree', compression), 'back');
      expect(listTree(path.join(store.directory, 'back'))).toEqual(stored);
      await importFile(await exportFile('disk', compression), 'back');
      expect(readFileSync(path.join(store.directory, 'back.raw')).equals(readFileSync(disk))).toBe(true);
    }
  });

  test.runIf(hasOracle('sid'))('is read by importd', {timeout: 120_000}, async () => {
    const lib = mkdtempSync(path.join(directory, 'lib-'));
    const commands: string[] = [];
    for (const compression of compressions) {
      const files = [await exportFile('tree', compression), await exportFile('disk', compression)];
      commands.push(`importctl -m -q import-tar ${files[0]} tree-${compression}`);
      commands.push(`importctl -m -q import-raw ${files[1]} disk-${compression}`);
    }
    runInOracle('sid', lib, commands.join('\n'));
    for (const compression of compressions) {
      expect(listTree(path.join(lib, 'machines', `tree-${compression}`))).toEqual(stored);
      const image = readFileSync(path.join(lib, 'machines', `disk-${compression}.raw`));
      expect(image.equals(readFileSync(disk))).toBe(true);
    }
  });
});

describe.runIf(process.geteuid?.() === 0)('what we read', () => {
  test.each(compressions)('may be an archive by tar with %s', async (compression) => {
    const archive = path.join(directory, 'by-tar');
    const source = path.join(directory, 'source');
    execFileSync('tar', [
      ...allMetadata,
      '--format=pax',
      '--sparse',
      '--exclude=./pipe',
      '-C',
      source,
      '-cf',
      archive,
      '.',
    ]);
    await importFile(packed(archive, compression), 'read');
    expect(listTree(path.join(store.directory, 'read'))).toEqual(tree);
  });

  test.each(['gnu', 'oldgnu', 'pax', 'ustar', 'v7'])('may be an archive of the form %s', async (form) => {
    const source = path.join(directory, `plain-${form}`);
    mkdirSync(path.join(source, 'a/b'), {recursive: true});
    writeFileSync(path.join(source, 'a/b/file'), 'contents');
    writeFileSync(path.join(source, `${'long'.repeat(20)}`), '');
    for (const name of ['a/b/file', 'a/b', 'a', 'long'.repeat(20), '.'])
      utimesSync(path.join(source, name), 1e9, 1e9);
    const archive = path.join(directory, `${form}.tar`);
    execFileSync('tar', [`--format=${form}`, '-C', source, '-cf', archive, '.']);
    await importFile(archive, 'read');
    expect(listTree(path.join(store.directory, 'read'))).toEqual(listTree(source));
  });

  test.each(compressions)(
    'may be a disk image, and a qcow2 one, by the tools with %s',
    async (compression) => {
      const files = [
        disk,
        makeQcow2(disk, 'cluster_size=64k'),
        makeQcow2(disk, 'compression_type=zstd', true),
      ];
      for (const file of files) {
        await importFile(packed(file, compression), 'read');
        const image = path.join(store.directory, 'read.raw');
        expect(readFileSync(image).equals(readFileSync(disk))).toBe(true);
        expect(statSync(image).blocks * 512).toBeLessThan(3_000_000);
      }
    },
  );

  test.runIf(hasOracle('sid'))('may be what importd writes', {timeout: 120_000}, async () => {
    const lib = mkdtempSync(path.join(directory, 'lib-'));
    // importd's own export fails on a name that is not UTF-8.
    const {'not-utf8-\xff': _name, ...expected} = tree;
    const archive = path.join(directory, 'for-importd.tar');
    const excluded = ['--exclude=./pipe', '--exclude=./not-utf8-*'];
    execFileSync('tar', [
      ...allMetadata,
      '--format=pax',
      ...excluded,
      '-C',
      path.join(directory, 'source'),
      '-cf',
      archive,
      '.',
    ]);
    const commands = [
      `importctl -m -q import-tar ${archive} tree`,
      `importctl -m -q import-raw ${disk} disk`,
    ];
    for (const compression of compressions) {
      commands.push(`importctl -m -q --format=${compression} export-tar tree ${lib}/tree.${compression}`);
      commands.push(`importctl -m -q --format=${compression} export-raw disk ${lib}/disk.${compression}`);
    }
    runInOracle('sid', lib, commands.join('\n'));
    for (const compression of compressions) {
      await importFile(path.join(lib, `tree.${compression}`), 'read');
      expect(listTree(path.join(store.directory, 'read'))).toEqual(expected);
      await importFile(path.join(lib, `disk.${compression}`), 'read');
      expect(readFileSync(path.join(store.directory, 'read.raw')).equals(readFileSync(disk))).toBe(true);
    }
  });
});
