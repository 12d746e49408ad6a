/** Incremental images in the engine: which bytes are one, and what only the parent of the unpacking child may set. */
import {mkdtempSync, readdirSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {buffer} from 'node:stream/consumers';
import {type Header, pack} from 'tar-stream';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {EmbeddedEngine} from '../../../src/engine/embedded/embedded-engine.ts';
import {removeTree} from '../../../src/sys/remove-tree.ts';
import {findXattr, listXattrs} from '../../../src/sys/xattr.ts';
import {fixturePath} from '../../fixtures-dir.ts';

const isRoot = process.geteuid?.() === 0;
const note = {pax: {'SCHILY.xattr.trusted.note': 'kept'}};
let directory: string;
let engine: EmbeddedEngine;

beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-delta-'));
  engine = new EmbeddedEngine({runtimeDirectory: path.join(directory, 'run')});
  const sourcePath = await makeTar('base', {name: 'dir/file'}, {name: 'dir/other'});
  await (await engine.import({format: 'tar', store: store(), localName: 'base', sourcePath})).finished;
});
afterEach(() => removeTree(directory));

const store = () => ({imageClass: 'machine', directory: path.join(directory, 'machines')}) as const;
const inImage = (name: string) => path.join(store().directory, 'image', name);

async function makeTar(name: string, ...entries: (Partial<Header> & {name: string})[]): Promise<string> {
  const archive = pack();
  for (const entry of entries) archive.entry(entry, entry.type === 'directory' ? '' : 'contents');
  archive.finalize();
  const file = path.join(directory, `${name}.tar`);
  writeFileSync(file, await buffer(archive));
  return file;
}

async function runDelta(sourcePath: string): Promise<string[]> {
  const base = {store: store(), localName: 'base'};
  const request = {format: 'tar', store: store(), localName: 'image', sourcePath, base} as const;
  return (await (await engine.importDelta(request)).finished).notices;
}

test.runIf(isRoot)('a layer brings trusted attributes, but none of what it replaces itself', async () => {
  const layer = await makeTar(
    'layer',
    {name: 'dir/', type: 'directory', ...note},
    {name: 'dir/file', ...note},
    {name: 'gone/', type: 'directory', ...note},
    {name: 'gone/inner', ...note},
    {name: 'gone'},
  );
  expect(await runDelta(layer)).toEqual([]);
  for (const name of ['dir', 'dir/file'])
    expect(findXattr(inImage(name), 'trusted.note')).toEqual(Buffer.from('kept'));
  for (const name of ['gone', 'dir/other']) expect(listXattrs(inImage(name))).toEqual([]);
});

test('a ZFS send stream is no layer, and nothing is stored', async () => {
  const stream = fixturePath('fixtures', 'zfs', 'fs-incr.zfs.gz');
  await expect(runDelta(stream)).rejects.toMatchObject({
    code: 'InvalidArchive',
    message: 'The file is not an incremental image: it holds zfs',
  });
  expect(readdirSync(store().directory)).toEqual(['base']);
});
