/** ZFS streams that are cut, at records and elsewhere, or changed by a bit: each is an error, and nothing is left where it was to go. */
import {existsSync, mkdtempSync, readdirSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {EmbeddedEngine} from '../../src/engine/embedded/embedded-engine.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {recordPlaces} from '../support/zfs-records.ts';
import {recordedStream} from '../support/zfs-stream.ts';

let directory: string;
let engine: EmbeddedEngine;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-zfs-damaged-'));
  engine = new EmbeddedEngine({runtimeDirectory: path.join(directory, 'run')});
});
afterEach(() => removeTree(directory));

/** The code of the error, and what the store holds after it. */
async function importBytes(bytes: Buffer): Promise<{code: string; left: string[]}> {
  const store = {imageClass: 'machine', directory: path.join(directory, 'machines')} as const;
  const sourcePath = path.join(directory, 'stream');
  writeFileSync(sourcePath, bytes);
  const code = await engine
    .import({format: 'auto', store, localName: 'image', sourcePath})
    .then((transfer) => transfer.finished)
    .then(
      () => 'stored',
      (error: {code: string}) => error.code,
    );
  return {code, left: existsSync(store.directory) ? readdirSync(store.directory) : []};
}

/** Positions that lie anywhere, and are the same in every run. */
function anywhere(length: number, count: number): number[] {
  return Array.from({length: count}, (_, index) => 313 + ((index * 2_654_435_761) % (length - 313)));
}

test.each(['fs-v28-zpl4', 'zvol-16K-c', 'fs-p'])('%s that is damaged leaves nothing', async (name) => {
  const stream = recordedStream(name);
  const starts = recordPlaces(stream).map(({start}) => start);
  const records = [1, starts.length >> 1, starts.length - 1].map((index) => starts[index] ?? 0);
  const cuts = [...records, ...anywhere(stream.length, 2)].map((cut) => stream.subarray(0, cut));
  const flips = anywhere(stream.length, 3).map((at) => {
    const changed = Buffer.from(stream);
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    return changed;
  });
  for (const bytes of [...cuts, ...flips]) {
    const {code, left} = await importBytes(bytes);
    expect({code: code === 'stored' ? code : 'refused', left}).toEqual({code: 'refused', left: []});
  }
});
