import {closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {addArchive} from '../../../src/engine/embedded/add-archive.ts';
import {TreeWriter} from '../../../src/engine/embedded/tree-writer.ts';
import {encodeTarHeader, tarEnd, tarPadding} from '../../../src/formats/tar-writer.ts';

const chunkBytes = 16 * 1024;

let directory: string;
let top: number;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-add-archive-'));
  top = openSync(directory, 'r');
});
afterEach(() => {
  closeSync(top);
  rmSync(directory, {recursive: true});
});

const metadata = {
  mode: 0o644,
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  mtimeNs: 0n,
  xattrs: new Map(),
};

function file(name: string, contents: Buffer): Buffer {
  const header = encodeTarHeader({type: 'file', path: Buffer.from(name), size: contents.length, ...metadata});
  return Buffer.concat([header, contents, tarPadding(contents.length)]);
}

/** Of no interest to who unpacks: the list of a directory as GNU tar dumps it. */
function skipped(name: string, bytes: number): Buffer {
  const entry = file(name, Buffer.alloc(bytes, 'y'));
  entry.write('D', 156);
  entry.fill(' ', 148, 156);
  const sum = entry.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  entry.write(`${sum.toString(8).padStart(6, '0')}\0`, 148);
  return entry;
}

/** Four chunks in turn, each spoilt as soon as it may be. */
async function* reusing(archive: Buffer): AsyncGenerator<Buffer> {
  const buffers = Array.from({length: 4}, () => Buffer.allocUnsafeSlow(chunkBytes));
  for (let position = 0, turn = 0; position < archive.length; position += chunkBytes, turn++) {
    const buffer = (buffers[turn % buffers.length] as Buffer).fill('!');
    const length = archive.copy(buffer, 0, position, position + chunkBytes);
    yield buffer.subarray(0, length);
  }
}

test('what was read stays good until it is written, also while much of the archive is skipped', async () => {
  const names = Array.from({length: 400}, (_, index) => `file-${index}`);
  const contents = (name: string, index: number) => Buffer.alloc(1 + ((index * 977) % 50_000), name);
  const parts = names.map((name, index) => [
    file(name, contents(name, index)),
    index % 10 === 0 ? skipped(`list-${index}/`, 20 * chunkBytes) : Buffer.alloc(0),
  ]);
  const archive = Buffer.concat([...parts.flat(), tarEnd, Buffer.alloc(40 * chunkBytes)]);
  const writer = new TreeWriter(top, {maxEntries: 1000, needsDevices: false});
  await addArchive(reusing(archive), writer, top);
  await writer.finish();
  await writer.close();
  for (const [index, name] of names.entries())
    expect(readFileSync(path.join(directory, name)).equals(contents(name, index)), name).toBe(true);
});

test('a file of which a chunk holds the header alone is one entry, made once', async () => {
  const names = Array.from({length: 20}, (_, index) => `file-${index}`);
  // Behind the first all headers are the last block of a chunk.
  const sizes = names.map((_, index) => chunkBytes - (index === 0 ? 1024 : 512));
  const files = names.map((name, index) => file(name, Buffer.alloc(sizes[index] as number, name)));
  const writer = new TreeWriter(top, {maxEntries: names.length, needsDevices: false});
  const open = () => readdirSync('/proc/self/fd').length;
  const before = open();
  await addArchive(reusing(Buffer.concat([...files, tarEnd])), writer, top);
  const kept = open() - before;
  await writer.finish();
  await writer.close();
  expect(kept).toBeLessThan(3); // the last of them
  for (const [index, name] of names.entries())
    expect(readFileSync(path.join(directory, name)).equals(Buffer.alloc(sizes[index] as number, name))).toBe(
      true,
    );
});
