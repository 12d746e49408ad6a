/** Layers of others: OCI's rules for whiteouts, whatever the order, and names that lead elsewhere. */
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {type Header, pack} from 'tar-stream';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {digestTree} from '../../../src/engine/embedded/delta/content-digest.ts';
import {LayerWriter} from '../../../src/engine/embedded/delta/layer-writer.ts';
import {readTar} from '../../../src/formats/tar-reader.ts';
import {removeTree} from '../../../src/sys/remove-tree.ts';
import {listTree} from '../../support/tree-listing.ts';

type Named = Partial<Header> & {name: string};

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'imgctl-layer-'));
  mkdirSync(path.join(root, 'tree/dir/inner'), {recursive: true});
  for (const name of ['one', 'two', 'inner/three']) writeFileSync(path.join(root, 'tree/dir', name), name);
  writeFileSync(path.join(root, 'outside'), 'outside');
});
afterEach(() => removeTree(root));

async function apply(...entries: (string | Named)[]): Promise<void> {
  const archive = pack();
  for (const entry of entries) {
    const header: Named = typeof entry === 'string' ? {name: entry} : entry;
    if (header.name.endsWith('/')) archive.entry({...header, type: 'directory'});
    else if (header.type === 'symlink') archive.entry(header);
    else archive.entry(header, 'new');
  }
  archive.finalize();
  const top = openSync(path.join(root, 'tree'), 'r');
  const writer = new LayerWriter(top, {maxEntries: 100, needsDevices: false});
  try {
    for await (const entry of readTar(archive as AsyncIterable<Buffer>)) await writer.add(entry);
    writer.finish();
  } finally {
    await writer.close();
    closeSync(top);
  }
}

const names = () => Object.keys(listTree(path.join(root, 'tree'))).sort();

describe('a layer', () => {
  test('takes away what a whiteout names, with all that is in it', async () => {
    await apply('dir/.wh.inner', 'dir/.wh.one', 'dir/.wh.never-was', 'nowhere/.wh.x');
    expect(names()).toEqual(['.', 'dir', 'dir/two']);
  });

  test('takes away everything of before, and nothing of its own, also where the mark comes last', async () => {
    await apply('dir/own', 'dir/inner/own', 'dir/.wh..wh..opq', 'dir/.wh.own');
    expect(names()).toEqual(['.', 'dir', 'dir/inner', 'dir/inner/own', 'dir/inner/three', 'dir/own']);
  });

  test('passes over marks that mean nothing to it', async () => {
    await apply('dir/.wh..wh.plnk', 'dir/.wh.');
    expect(names()).toContain('dir/one');
  });

  test('replaces a directory by a file, and a file by a directory', async () => {
    await apply('dir/inner', 'dir/one/', 'dir/one/deep');
    expect(names()).toEqual(['.', 'dir', 'dir/inner', 'dir/one', 'dir/one/deep', 'dir/two']);
    expect(readFileSync(path.join(root, 'tree/dir/inner'), 'utf8')).toBe('new');
  });

  test('leaves the times of directories that it does not name', async () => {
    const dir = path.join(root, 'tree/dir');
    utimesSync(dir, 1000, 1000);
    await apply('dir/new', 'dir/.wh.one');
    expect(statSync(dir).mtimeMs).toBe(1_000_000);
  });

  test('does not lead out of the tree through a link of the base', async () => {
    symlinkSync(root, path.join(root, 'tree/link'));
    await apply('link/.wh.outside');
    await expect(apply('link/file')).rejects.toMatchObject({code: 'InvalidArchive'});
    expect(readFileSync(path.join(root, 'outside'), 'utf8')).toBe('outside');
  });
});

test('the digest of a tree sees contents and metadata, not holes or times of directories', () => {
  const tree = path.join(root, 'tree');
  const digest = () => {
    const top = openSync(tree, 'r');
    try {
      return digestTree(top);
    } finally {
      closeSync(top);
    }
  };
  const file = path.join(tree, 'dir/one');
  const content = Buffer.alloc(200_000);
  content.write('x', 150_000);
  writeFileSync(file, content);
  utimesSync(file, 5, 5);
  const before = digest();
  utimesSync(path.join(tree, 'dir'), 7, 7);
  const fd = openSync(file, 'r+');
  ftruncateSync(fd, 0); // the zeros become holes
  writeSync(fd, 'x', 150_000);
  ftruncateSync(fd, content.length);
  closeSync(fd);
  utimesSync(file, 5, 5);
  expect(digest()).toBe(before);
  content.write('y', 150_000);
  writeFileSync(file, content);
  utimesSync(file, 5, 5);
  expect(digest()).not.toBe(before);
});
