import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {readImages} from '../../../src/engine/embedded/image-list.ts';
import {readImageNames} from '../../../src/engine/embedded/image-names.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-names-'));
});
afterEach(() => rmSync(directory, {recursive: true}));

test('the names are those of the images that a closer look finds, in its order', () => {
  for (const name of [
    'web',
    'b.raw.d',
    'versions.v',
    'layers.mstack',
    '.hidden',
    '.#staging',
    'ümläut',
    'x\u007f',
  ])
    mkdirSync(path.join(directory, name));
  for (const name of ['disk.raw', 'web.nspawn', 'a-file', 'versions.raw.v', 'Z.raw'])
    writeFileSync(path.join(directory, name), '');
  mkdirSync(path.join(directory, 'tree.raw'));
  symlinkSync('web', path.join(directory, 'link'));
  symlinkSync('disk.raw', path.join(directory, 'link.raw'));
  symlinkSync('disk.raw', path.join(directory, 'no-suffix'));
  symlinkSync('nowhere', path.join(directory, 'dangling.raw'));
  symlinkSync('/dev/null', path.join(directory, 'device'));
  execFileSync('mkfifo', [path.join(directory, 'pipe')]);
  const store = {imageClass: 'machine', directory} as const;
  const found = readImages(store, {withHidden: false}).map(({name}) => name);
  expect(readImageNames(store).map(({name}) => name)).toEqual(found);
  expect(found).toEqual(['Z', 'b.raw.d', 'disk', 'link', 'link', 'tree.raw', 'web', 'ümläut']);
});

test('a directory that is not there holds no images', () => {
  expect(readImageNames({imageClass: 'machine', directory: path.join(directory, 'absent')})).toEqual([]);
});
