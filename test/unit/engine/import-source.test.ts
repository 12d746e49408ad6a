/** Imports from open descriptors, through the embedded engine. */
import {execFileSync, spawn} from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {EmbeddedEngine} from '../../../src/engine/embedded/embedded-engine.ts';
import type {ImageFormat, ImageStore} from '../../../src/engine/engine.ts';
import {removeTree} from '../../../src/sys/remove-tree.ts';

describe.runIf(process.geteuid?.() === 0)('an import from a descriptor', () => {
  let directory: string;
  let store: ImageStore;
  let engine: EmbeddedEngine;
  const contents = Buffer.alloc(300_000, 'imgctl');

  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'imgctl-source-'));
    store = {imageClass: 'machine', directory: path.join(directory, 'machines')};
    engine = new EmbeddedEngine({runtimeDirectory: path.join(directory, 'run')});
    writeFileSync(path.join(directory, 'file'), contents);
  });
  afterEach(() => removeTree(directory));

  async function importFrom(fd: number, format: ImageFormat = 'raw'): Promise<string> {
    try {
      const request = {format, store, localName: 'image', sourcePath: 'the input', sourceFd: fd};
      return (await (await engine.import(request)).finished).path;
    } finally {
      closeSync(fd);
    }
  }

  function leftovers(): string[] {
    return readdirSync(store.directory).filter((name) => name.startsWith('.'));
  }

  test('reads a file from its position', async () => {
    const fd = openSync(path.join(directory, 'file'), 'r');
    readSync(fd, Buffer.alloc(1000), 0, 1000, null);
    expect(readFileSync(await importFrom(fd)).equals(contents.subarray(1000))).toBe(true);
  });

  test('reads a pipe to its end', async () => {
    const fifo = path.join(directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    spawn('sh', ['-c', 'cat "$1"/file > "$1"/fifo', 'sh', directory]);
    expect(readFileSync(await importFrom(openSync(fifo, 'r'))).equals(contents)).toBe(true);
    expect(leftovers()).toEqual([]);
  });

  test('reads a pipe whose writer has gone already', async () => {
    const fifo = path.join(directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const writer = openSync(fifo, 'r+');
    const reader = openSync(fifo, 'r');
    writeSync(writer, 'short');
    closeSync(writer);
    expect(readFileSync(await importFrom(reader), 'utf8')).toBe('short');
  });

  test('a cancelled import gives up a pipe that never ends', async () => {
    const fifo = path.join(directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const writer = spawn('sh', ['-c', 'exec 3>"$1"/fifo; exec cat', 'sh', directory]);
    const fd = openSync(fifo, 'r');
    const request = {format: 'raw', store, localName: 'image', sourcePath: 'pipe', sourceFd: fd} as const;
    const transfer = await engine.import(request);
    expect((await engine.listTransfers()).map(({type, localName}) => [type, localName])).toEqual([
      ['import-raw', 'image'],
    ]);
    transfer.cancel();
    await expect(transfer.finished).rejects.toMatchObject({code: 'Interrupted'});
    closeSync(fd);
    writer.kill();
    expect([leftovers(), existsSync(path.join(store.directory, 'image.raw'))]).toEqual([[], false]);
  });

  test('copies the directory that was opened, wherever it is by now', async () => {
    const tree = path.join(directory, 'tree');
    mkdirSync(path.join(tree, 'etc'), {recursive: true});
    const fd = openSync(tree, 'r');
    renameSync(tree, path.join(directory, 'moved'));
    mkdirSync(tree);
    expect(readdirSync(await importFrom(fd, 'directory'))).toEqual(['etc']);
  });

  test('refuses what is only open for writing, and what has nothing in it', async () => {
    const file = path.join(directory, 'file');
    await expect(importFrom(openSync(file, 'a'))).rejects.toMatchObject({
      code: 'InvalidArgument',
      message: '"the input" is not open for reading',
    });
    writeFileSync(file, '');
    await expect(importFrom(openSync(file, 'r'))).rejects.toMatchObject({code: 'InvalidArchive'});
  });
});
