/** The images made here, by QEMU and by our own reader. */
import {execFileSync} from 'node:child_process';
import {mkdtempSync, readFileSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {Qcow2Image} from '../../../../src/formats/qcow2/qcow2-image.ts';
import {clusterSize, clusterState, qcow2Head} from '../../../../src/formats/qcow2/write-qcow2.ts';
import {removeTree} from '../../../../src/sys/remove-tree.ts';
import {bytesSource} from '../../../support/qcow2.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-qcow2-'));
});
afterEach(() => removeTree(directory));

/** Data in the given clusters, each filled with its own letter. */
function makeImage(virtualSize: number, changes: Record<number, 'data' | 'zeros'>): Buffer {
  const states = new Uint8Array(Math.ceil(virtualSize / clusterSize));
  const data: Buffer[] = [];
  for (const [index, kind] of Object.entries(changes)) {
    states[Number(index)] = clusterState[kind];
    if (kind === 'data') data.push(Buffer.alloc(clusterSize, String.fromCharCode(97 + (Number(index) % 26))));
  }
  return Buffer.concat([...qcow2Head(virtualSize, states), ...data]);
}

test.each([
  ['a disk of nothing', 1 << 20, {}],
  ['a disk that ends inside a cluster', 3 * clusterSize + 512, {0: 'data', 1: 'zeros', 3: 'data'}],
  ['a disk of two tables with none between', 1100 * 2 ** 20, {1: 'data', 17000: 'data', 17001: 'zeros'}],
] as const)('%s is right for qemu-img, and reads back as it was meant', (_name, size, changes) => {
  const bytes = makeImage(size, changes);
  const file = path.join(directory, 'image.qcow2');
  writeFileSync(file, bytes);
  const check = JSON.parse(execFileSync('qemu-img', ['check', '--output=json', file]).toString());
  expect(check).toMatchObject({'check-errors': 0});
  expect(check).not.toHaveProperty('leaks');
  expect(check).not.toHaveProperty('corruptions');
  const found: Record<number, string> = {};
  for (const run of new Qcow2Image(bytesSource(bytes), {maxVirtualBytes: 2 ** 40}).changes()) {
    expect(run.offset % clusterSize).toBe(0);
    found[run.offset / clusterSize] = run.bytes ? 'data' : 'zeros';
  }
  expect(found).toEqual({...changes});
});

test('what it holds goes over a base as QEMU would put it', () => {
  const size = 4 * clusterSize;
  const base = path.join(directory, 'base');
  writeFileSync(base, Buffer.alloc(size, 'B'));
  const delta = path.join(directory, 'delta.qcow2');
  writeFileSync(delta, makeImage(size, {1: 'data', 2: 'zeros'}));
  execFileSync('qemu-img', ['rebase', '-u', '-F', 'raw', '-b', base, delta]);
  const flat = path.join(directory, 'flat');
  execFileSync('qemu-img', ['convert', '-O', 'raw', delta, flat]);
  const disk = readFileSync(flat);
  const letters = [0, 1, 2, 3].map((index) => disk[index * clusterSize]);
  expect(letters).toEqual([66, 98, 0, 66]);
});
