/** Exports into everything that takes bytes, and under everything that can go wrong there. */
import {execFileSync, spawn} from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {EmbeddedEngine} from '../../src/engine/embedded/embedded-engine.ts';
import type {ExportRequest, ImageStore, Transfer} from '../../src/engine/engine.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {findXattr, setXattr} from '../../src/sys/xattr.ts';

let directory: string;
let store: ImageStore;
let engine: EmbeddedEngine;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-export-'));
  store = {imageClass: 'machine', directory: path.join(directory, 'machines')};
  engine = new EmbeddedEngine({runtimeDirectory: path.join(directory, 'run')});
  mkdirSync(store.directory);
});
afterEach(() => removeTree(directory));

const image = () => path.join(store.directory, 'one.raw');

/** Two pieces of data with a hole before, between and after. */
function makeSparse(megabytes = 64): Buffer {
  const fd = openSync(image(), 'w');
  ftruncateSync(fd, megabytes << 20);
  writeSync(fd, Buffer.alloc(8192, 'a'), 0, 8192, 1 << 20);
  writeSync(fd, Buffer.alloc(8192, 'b'), 0, 8192, 9 << 20);
  closeSync(fd);
  return readFileSync(image());
}

async function start(outputFd: number, options: Partial<ExportRequest> = {}): Promise<Transfer> {
  const request = {format: 'raw', store, localName: 'one', compression: 'uncompressed', outputFd} as const;
  return await engine.export({...request, ...options});
}

async function exportTo(flags: string | number, options: Partial<ExportRequest> = {}): Promise<string> {
  const file = path.join(directory, 'output');
  const fd = openSync(file, flags);
  try {
    await (await start(fd, options)).finished;
  } finally {
    closeSync(fd);
  }
  return file;
}

/** A pipe: a FIFO opened at both ends. */
function openPipe(): {read: number; write: number} {
  const fifo = path.join(directory, `fifo-${Math.random()}`);
  execFileSync('mkfifo', [fifo]);
  const read = openSync(fifo, 'r+');
  const write = openSync(fifo, 'w');
  const readOnly = openSync(fifo, 'r');
  closeSync(read);
  return {read: readOnly, write};
}

describe('a disk image', () => {
  test('keeps its holes, its times and its attributes in a file', async () => {
    const bytes = makeSparse();
    utimesSync(image(), 1e9, 1e9);
    setXattr(image(), 'user.note', Buffer.from('kept'));
    const file = await exportTo('w');
    expect(readFileSync(file).equals(bytes)).toBe(true);
    expect(statSync(file)).toMatchObject({mtimeMs: 1e12, size: bytes.length});
    expect(statSync(file).blocks).toBeLessThan(1000);
    expect(findXattr(file, 'user.note')?.toString()).toBe('kept');
  });

  test('is written whole where a file cannot have holes', async () => {
    const bytes = makeSparse(16);
    const file = path.join(directory, 'output');
    writeFileSync(file, 'before');
    expect(readFileSync(await exportTo('a')).equals(Buffer.concat([Buffer.from('before'), bytes]))).toBe(
      true,
    );
    writeFileSync(file, Buffer.alloc(20 << 20, 'o'));
    const expected = Buffer.concat([bytes, Buffer.alloc(4 << 20, 'o')]);
    expect(readFileSync(await exportTo('r+')).equals(expected)).toBe(true);
  });

  test('begins where the file is, and the next writer goes on behind it', async () => {
    const bytes = makeSparse(16);
    const file = path.join(directory, 'output');
    const fd = openSync(file, 'w');
    writeSync(fd, 'before');
    await (await start(fd)).finished;
    writeSync(fd, 'after');
    closeSync(fd);
    const expected = Buffer.concat([Buffer.from('before'), bytes, Buffer.from('after')]);
    expect(readFileSync(file).equals(expected)).toBe(true);
  });

  test('may be empty, or one hole', async () => {
    for (const size of [0, 1 << 20]) {
      writeFileSync(image(), Buffer.alloc(0));
      execFileSync('truncate', ['-s', String(size), image()]);
      expect(statSync(await exportTo('w')).size).toBe(size);
      const packed = await exportTo('w', {compression: 'gzip'});
      expect(execFileSync('gzip', ['-dc', packed]).length).toBe(size);
    }
  });
});

describe('a pipe', () => {
  test('whose reader comes late holds the export back and gets everything', async () => {
    writeFileSync(image(), Buffer.alloc(3 << 20, 'data '));
    const {read, write} = openPipe();
    const transfer = await start(write);
    const reader = spawn('sha256sum', {stdio: [read, 'pipe', 'inherit']});
    closeSync(read);
    await transfer.finished;
    closeSync(write);
    const [output] = (await reader.stdout?.toArray()) ?? [];
    const expected = execFileSync('sha256sum', {input: readFileSync(image())}).toString();
    expect(String(output)).toBe(expected);
  });

  test('that does not block is waited for', async () => {
    writeFileSync(image(), Buffer.alloc(3 << 20, 'data '));
    const server = createServer();
    const received = new Promise<Buffer>((resolve) => {
      server.on('connection', (socket) => {
        void socket.toArray().then((chunks) => resolve(Buffer.concat(chunks)));
      });
    });
    const socketPath = path.join(directory, 'socket');
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    const script = `import socket,subprocess,sys
s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.setblocking(False)
import os; os.set_inheritable(s.fileno(), True); os.dup2(s.fileno(), 9)
sys.exit(subprocess.call(sys.argv[2:], close_fds=False))`;
    const inner = `import {EmbeddedEngine} from ${JSON.stringify(path.resolve('src/engine/embedded/embedded-engine.ts'))};
const engine = new EmbeddedEngine({runtimeDirectory: ${JSON.stringify(path.join(directory, 'run'))}});
const store = ${JSON.stringify(store)};
await (await engine.export({format: 'raw', store, localName: 'one', compression: 'uncompressed', outputFd: 9})).finished;`;
    const command = [process.execPath, '--input-type=module', '-e', inner];
    const child = spawn('python3', ['-c', script, socketPath, ...command], {stdio: 'inherit'});
    const status = await new Promise((resolve) => child.on('close', resolve));
    expect(status).toBe(0);
    expect((await received).equals(readFileSync(image()))).toBe(true);
    server.close();
  });

  test.each(['uncompressed', 'gzip', 'xz', 'zstd', 'bzip2'] as const)(
    'that is closed early ends it with one clear error (%s)',
    async (compression) => {
      execFileSync('dd', ['if=/dev/urandom', `of=${image()}`, 'bs=1M', 'count=4', 'status=none']);
      const {read, write} = openPipe();
      spawn('head', ['-c', '10'], {stdio: [read, 'ignore', 'inherit']});
      closeSync(read);
      const transfer = await start(write, {compression});
      await expect(transfer.finished).rejects.toMatchObject({
        code: 'FileSystem',
        message: 'The output was closed by its reader before the export was complete',
        details: {errno: 'EPIPE'},
      });
      expect(await engine.listTransfers()).toEqual([]);
      closeSync(write);
    },
  );

  test('that nobody reads does not hinder cancelling', async () => {
    execFileSync('dd', ['if=/dev/urandom', `of=${image()}`, 'bs=1M', 'count=2', 'status=none']);
    const {read, write} = openPipe();
    const transfer = await start(write, {compression: 'zstd'});
    expect(await engine.listTransfers()).toMatchObject([{type: 'export-raw', localName: 'one'}]);
    expect(await engine.cancelTransfer(transfer.id)).toBe(true);
    await expect(transfer.finished).rejects.toMatchObject({code: 'Interrupted'});
    expect(await engine.listTransfers()).toEqual([]);
    closeSync(read);
    closeSync(write);
  });
});

test('a full disk ends it with NoSpace', async () => {
  writeFileSync(image(), Buffer.alloc(1 << 20, 'x'));
  const fd = openSync('/dev/full', 'w');
  await expect((await start(fd)).finished).rejects.toMatchObject({code: 'NoSpace'});
  closeSync(fd);
});

test('a descriptor that is not open or not for writing is refused', async () => {
  makeSparse(1);
  await expect(start(987)).rejects.toMatchObject({code: 'InvalidArgument'});
  const fd = openSync(image(), 'r');
  await expect((await start(fd)).finished).rejects.toMatchObject({code: 'FileSystem'});
  closeSync(fd);
});

test('a tree leaves sockets and pipes out and says so', async () => {
  mkdirSync(path.join(store.directory, 'one/dir'), {recursive: true});
  execFileSync('mkfifo', [path.join(store.directory, 'one/pipe')]);
  writeFileSync(path.join(store.directory, 'one/dir/file'), 'x');
  const fd = openSync(path.join(directory, 'output'), 'w');
  const {notices} = await (await start(fd, {format: 'tar'})).finished;
  closeSync(fd);
  expect(notices).toEqual([expect.stringContaining('sockets or named pipes, for example "./pipe"')]);
  const names = execFileSync('tar', ['-tf', path.join(directory, 'output')], {encoding: 'utf8'});
  expect(names).toBe('./\n./dir/\n./dir/file\n');
});

test('the same tree gives the same archive', async () => {
  mkdirSync(path.join(store.directory, 'one'));
  for (const name of ['b', 'a', 'c', 'ä', 'A']) writeFileSync(path.join(store.directory, 'one', name), name);
  const first = readFileSync(await exportTo('w', {format: 'tar', compression: 'xz'}));
  expect(readFileSync(await exportTo('w', {format: 'tar', compression: 'xz'})).equals(first)).toBe(true);
  expect(readdirSync(store.directory)).toEqual(['one']);
});

test('a directory wins over a disk image of the same name, and only a version directory is refused', async () => {
  makeSparse(1);
  mkdirSync(path.join(store.directory, 'one'));
  await expect(exportTo('w')).rejects.toMatchObject({code: 'InvalidArgument'});
  await exportTo('w', {format: 'tar'});
  mkdirSync(path.join(store.directory, 'two.raw.v'));
  await expect(exportTo('w', {localName: 'two'})).rejects.toMatchObject({code: 'NotSupported'});
});
