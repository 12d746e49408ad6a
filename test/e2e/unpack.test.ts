/** Real archives, real file systems, real users and real deaths. */
import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {createInterface} from 'node:readline';
import {gzipSync} from 'node:zlib';
import * as tarStream from 'tar-stream';
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest';
import {EmbeddedEngine} from '../../src/engine/embedded/embedded-engine.ts';
import type {ImportRequest, TransferResult} from '../../src/engine/engine.ts';
import {isBtrfsSubvolume} from '../../src/sys/btrfs.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import type {ImportProcessArguments} from '../support/import-process.ts';
import {type FileSystemKind, missingFor, withFileSystem} from '../support/loop-fs.ts';
import {makeNastyTree} from '../support/nasty-tree.ts';
import {expectSameTree, listTree} from '../support/tree-listing.ts';

const isRoot = process.geteuid?.() === 0;
const nobody = 65534;
let directory: string;
let engine: EmbeddedEngine;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-e2e-'));
  chmodSync(directory, 0o755);
  engine = new EmbeddedEngine({runtimeDirectory: path.join(directory, 'run')});
});
afterEach(() => removeTree(directory));

const at = (...parts: string[]) => path.join(directory, ...parts);
const storeAt = (place: string) =>
  ({imageClass: 'machine', directory: path.join(place, 'machines')}) as const;

async function run(sourcePath: string, options: Partial<ImportRequest> = {}): Promise<TransferResult> {
  const request: ImportRequest = {
    format: 'auto',
    store: storeAt(directory),
    localName: 'image',
    sourcePath,
    ...options,
  };
  return await (await engine.import(request)).finished;
}

const namesIn = (place: string) => (existsSync(place) ? readdirSync(place).sort() : []);

function nastyTree(): void {
  if (existsSync(at('tree'))) return;
  mkdirSync(at('tree'));
  makeNastyTree(at('tree'));
}

function nastyArchive(...options: string[]): string {
  nastyTree();
  const archive = at(`nasty${options.join('')}.tar`);
  execFileSync('tar', [
    '-C',
    at('tree'),
    '--xattrs',
    '--xattrs-include=*',
    '--acls',
    '--numeric-owner',
    ...options,
    '-cf',
    archive,
    '.',
  ]);
  return archive;
}

describe.runIf(isRoot)('a nasty tree', () => {
  const posix = ['--format=posix'];
  test.each([
    ['pax', posix],
    ['pax with holes', [...posix, '--sparse', '--sparse-version=1.0']],
    ['pax with holes, 0.1', [...posix, '--sparse', '--sparse-version=0.1']],
    ['pax with holes, 0.0', [...posix, '--sparse', '--sparse-version=0.0']],
  ])('as %s comes out as it was, and as GNU tar unpacks it', async (_form, options) => {
    const archive = nastyArchive(...options);
    const {path: image, notices} = await run(archive);
    expect(notices).toEqual([]);
    mkdirSync(at('reference'));
    execFileSync('tar', [
      '-C',
      at('reference'),
      '--xattrs',
      '--xattrs-include=*',
      '--acls',
      '--numeric-owner',
      '-xpf',
      archive,
    ]);
    expectSameTree(image, at('reference'));
    expectSameTree(image, at('tree'));
    if (options.includes('--sparse')) expect(statSync(path.join(image, 'sparse')).blocks).toBeLessThan(1000);
  });

  test.each([['gnu'], ['oldgnu']])('as %s comes out as GNU tar unpacks it', async (format) => {
    const archive = at('archive.tar');
    nastyTree();
    execFileSync('tar', ['-C', at('tree'), `--format=${format}`, '--sparse', '-cf', archive, '.']);
    const {path: image} = await run(archive);
    mkdirSync(at('reference'));
    execFileSync('tar', ['-C', at('reference'), '--numeric-owner', '-xpf', archive]);
    expectSameTree(image, at('reference'));
  });

  test('stored from its directory it is the same, but for the time of its top', async () => {
    nastyArchive('--format=posix');
    const {path: image} = await run(at('tree'), {format: 'directory'});
    expectSameTree(image, at('tree'), {withoutTopTime: true});
  });

  test('an ordinary user gets what a user can have, and one sentence for each kind that is lost', async () => {
    const archive = nastyArchive('--format=posix');
    mkdirSync(at('home'));
    chownSync(at('home'), nobody, nobody);
    const result = await importProcess({directory: at('home/machines'), sourcePath: archive}, nobody).end;
    expect(result).toMatchObject({path: at('home/machines/image')});
    const kinds = ['owner', 'set-user-id', 'device nodes', 'extended attribute'];
    for (const kind of kinds) expect(result.notices).toContainEqual(expect.stringContaining(kind));
    expect(result.notices).toHaveLength(kinds.length);
    const listing = listTree(at('home/machines/image'), {withoutOwners: true});
    expect(listing['etc/shadow']).toContain('size=6');
    expect(listing['usr/bin/su']).toMatch(/^100755 /);
    expect(listing.unreadable).toMatch(/^100000 .*user\.binary=00010aff/);
    expect(listing['closed/inner/file']).toBeDefined();
    expect(listing.null).toBeUndefined();
  });
});

type Member = Partial<tarStream.Header> & {name: string; body?: string};

async function archiveOf(...members: Member[]): Promise<string> {
  const pack = tarStream.pack();
  for (const {body = '', ...header} of members) pack.entry({...header, size: Buffer.byteLength(body)}, body);
  pack.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of pack) chunks.push(chunk as Buffer);
  const file = at(`hostile-${randomBytes(4).toString('hex')}.tar`);
  writeFileSync(file, Buffer.concat(chunks));
  return file;
}

describe.runIf(isRoot)('a hostile archive', () => {
  const outside = () => at('outside');
  beforeEach(() => {
    mkdirSync(outside());
    writeFileSync(path.join(outside(), 'victim'), 'untouched', {mode: 0o600});
  });
  afterEach(() => {
    const before = {mode: 0o100600, text: 'untouched', names: ['victim']};
    const file = path.join(outside(), 'victim');
    const {mode, nlink} = statSync(file);
    expect({mode, text: readFileSync(file, 'utf8'), names: namesIn(outside())}).toEqual(before);
    expect(nlink).toBe(1);
  });

  const link = (): Member => ({name: 'link', type: 'symlink', linkname: outside()});
  const cases: [string, () => Member[]][] = [
    ['".." in a name', () => [{name: 'a/../../outside/new', body: 'x'}]],
    ['".." alone', () => [{name: '..', type: 'directory', mode: 0o777}]],
    ['a file through a symbolic link', () => [link(), {name: 'link/new', body: 'x'}]],
    ['a directory through a symbolic link', () => [link(), {name: 'link/new', type: 'directory'}]],
    [
      'a relative link that climbs out',
      () => [
        {name: 'up', type: 'symlink', linkname: '../../..'},
        {name: 'up/new', body: 'x'},
      ],
    ],
    [
      'a hard link through a symbolic link',
      () => [link(), {name: 'hard', type: 'link', linkname: 'link/victim'}],
    ],
    [
      'a hard link to an absolute path',
      () => [{name: 'hard', type: 'link', linkname: path.join(outside(), 'victim')}],
    ],
    ['a hard link with ".."', () => [{name: 'hard', type: 'link', linkname: '../../outside/victim'}]],
    [
      'a hard link to a later entry',
      () => [
        {name: 'hard', type: 'link', linkname: 'later'},
        {name: 'later', body: 'x'},
      ],
    ],
    [
      'a hard link to a directory',
      () => [
        {name: 'd', type: 'directory'},
        {name: 'hard', type: 'link', linkname: 'd'},
      ],
    ],
    [
      'a path through a file',
      () => [
        {name: 'f', body: 'x'},
        {name: 'f/g', body: 'x'},
      ],
    ],
    [
      'a file in the place of a full directory',
      () => [
        {name: 'd/f', body: 'x'},
        {name: 'd', body: 'x'},
      ],
    ],
  ];
  test.each(cases)('with %s is refused whole', async (_what, members) => {
    const archive = await archiveOf({name: 'first', body: 'x'}, ...members());
    await expect(run(archive)).rejects.toMatchObject({code: 'InvalidArchive'});
    expect(namesIn(at('machines'))).toEqual([]);
  });

  test('with absolute names lands inside', async () => {
    const {path: image} = await run(await archiveOf({name: path.join(outside(), 'victim'), body: 'new'}));
    expect(readFileSync(path.join(image, outside(), 'victim'), 'utf8')).toBe('new');
  });

  test('that replaces a link, then writes to its name, writes inside', async () => {
    const members: Member[] = [
      link(),
      {name: 'link', type: 'directory', mode: 0o755},
      {name: 'link/victim', body: 'inside'},
    ];
    const {path: image} = await run(await archiveOf(...members));
    expect(readFileSync(path.join(image, 'link/victim'), 'utf8')).toBe('inside');
  });

  test('that links a file, then replaces the name, does not write through the link', async () => {
    const members: Member[] = [
      {name: 'a', body: 'first'},
      {name: 'b', type: 'link', linkname: 'a'},
      {name: 'b', body: 'second'},
      {name: 'c', type: 'symlink', linkname: path.join(outside(), 'victim')},
      {name: 'c', body: 'third', mode: 0o4777},
    ];
    const {path: image} = await run(await archiveOf(...members));
    expect(['a', 'b', 'c'].map((name) => readFileSync(path.join(image, name), 'utf8'))).toEqual([
      'first',
      'second',
      'third',
    ]);
  });

  test('with too many levels or entries is refused by limit', async () => {
    const deep = await archiveOf({name: `${'d/'.repeat(140)}f`, body: 'x'});
    await expect(run(deep)).rejects.toMatchObject({code: 'LimitExceeded'});
    engine = new EmbeddedEngine({runtimeDirectory: at('run'), limits: {maxEntries: 3}});
    const many = await archiveOf(...['a', 'b', 'c', 'd'].map((name) => ({name, body: 'x'})));
    await expect(run(many)).rejects.toMatchObject({code: 'LimitExceeded'});
    expect(namesIn(at('machines'))).toEqual([]);
  });

  test('missing parents are made, directories merge, and the last of a name wins', async () => {
    const mtime = new Date(1_000_000_000_000);
    const members: Member[] = [
      {name: 'a/b/c/file', body: 'x'},
      {name: 'a/', type: 'directory', mode: 0o700, mtime},
      {name: 'a/other', body: 'y'},
      {name: 'a/b/c/file', body: 'last'},
    ];
    const {path: image} = await run(await archiveOf(...members));
    expect(readFileSync(path.join(image, 'a/b/c/file'), 'utf8')).toBe('last');
    expect(statSync(path.join(image, 'a'))).toMatchObject({mode: 0o40700, mtime});
    expect(statSync(path.join(image, 'a/b'))).toMatchObject({mode: 0o40755, uid: 0, gid: 0});
  });
});

describe.each<FileSystemKind>(['ext4', 'btrfs', 'xfs', 'tmpfs'])('on %s', (kind) => {
  const missing = missingFor(kind);
  test.skipIf(missing)(
    `images of every kind are stored, replaced and removed${missing ? ` (no ${missing})` : ''}`,
    async () => {
      await withFileSystem(kind, 400, async (mountPoint) => {
        const archive = nastyArchive('--format=posix');
        const store = storeAt(mountPoint);
        const {path: image} = await run(archive, {store, readOnly: true});
        expectSameTree(image, at('tree'));
        expect(isBtrfsSubvolume(image)).toBe(kind === 'btrfs');
        const kinds = {ext4: 'directory', xfs: 'directory', tmpfs: 'directory', btrfs: 'subvolume'};
        expect(await engine.listImages(store)).toMatchObject([
          {name: 'image', type: kinds[kind], readOnly: true},
        ]);
        await run(image, {store, localName: 'copy', format: 'directory'});
        expectSameTree(path.join(store.directory, 'copy'), at('tree'), {withoutTopTime: true});
        const disk = path.join(mountPoint, 'disk');
        writeFileSync(disk, Buffer.concat([randomBytes(3 << 20), Buffer.alloc(5 << 20)]));
        const raw = await run(disk, {store, force: true, readOnly: true});
        expect(readFileSync(raw.path).equals(readFileSync(disk))).toBe(true);
        expect(namesIn(store.directory)).toEqual(['copy', 'image.raw']);
        await run(archive, {store, force: true, readOnly: true});
        await run(archive, {store, force: true});
        expect(namesIn(store.directory)).toEqual(['copy', 'image']);
        for (const name of ['image', 'copy']) expect(await engine.removeImage(store, name)).toBe(true);
        expect(namesIn(store.directory)).toEqual([]);
      });
    },
  );

  test.skipIf(missing)('a full file system ends with NoSpace, the numbers, and nothing left', async () => {
    // btrfs and xfs do not go below a size.
    const sizeMiB = {ext4: 16, btrfs: 120, xfs: 310, tmpfs: 16}[kind];
    await withFileSystem(kind, sizeMiB, async (mountPoint) => {
      const store = storeAt(mountPoint);
      const disk = at('disk');
      writeFileSync(disk, randomBytes((sizeMiB + 10) << 20));
      const failure = await run(disk, {store}).catch((error: unknown) => error);
      expect(failure).toMatchObject({
        code: 'NoSpace',
        details: {needBytes: (sizeMiB + 10) << 20, haveBytes: expect.any(Number)},
      });
      writeFileSync(at('disk.gz'), gzipSync(readFileSync(disk), {level: 0}));
      await expect(run(at('disk.gz'), {store})).rejects.toMatchObject({code: 'NoSpace'});
      const tree = at('big');
      mkdirSync(tree);
      execFileSync('mv', [disk, tree]);
      execFileSync('tar', ['-C', tree, '-cf', at('big.tar'), '.']);
      await expect(run(at('big.tar'), {store})).rejects.toMatchObject({code: 'NoSpace'});
      expect(namesIn(store.directory)).toEqual([]);
    });
  });
});

interface ImportProcess {
  child: ChildProcess;
  /** Resolves at the first line with the key. */
  said(key: string): Promise<Record<string, unknown>>;
  end: Promise<Record<string, unknown> & {notices?: string[]}>;
}

function importProcess(
  options: Pick<ImportProcessArguments, 'directory' | 'sourcePath'> & Partial<ImportProcessArguments>,
  uid?: number,
): ImportProcess {
  const script = path.join(import.meta.dirname, '../support/import-process.ts');
  const runtimeDirectory = path.join(path.dirname(options.directory), 'run');
  const list = [script, JSON.stringify({runtimeDirectory, localName: 'image', ...options})];
  const asUser = uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  const [command = '', ...rest] = [...asUser, process.execPath, ...list];
  const child = spawn(command, rest, {stdio: ['ignore', 'pipe', 'inherit']});
  const lines: Record<string, unknown>[] = [];
  createInterface({input: child.stdout}).on('line', (line) =>
    lines.push(JSON.parse(line) as Record<string, unknown>),
  );
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const said = (key: string) =>
    vi.waitFor(
      () =>
        lines.find((line) => key in line) ?? Promise.reject(new Error(`no ${key}: ${JSON.stringify(lines)}`)),
      {timeout: 20_000, interval: 5},
    );
  return {child, said, end: closed.then(() => lines.at(-1) ?? {})};
}

/** Processes whose command line has a text. */
/** Unpackers at work for this test: what they read lies in its directory. Others on this machine are not ours. */
function unpackers(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const isUnpacker = readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('unpack-child');
        return isUnpacker && readlinkSync(`/proc/${pid}/fd/0`).startsWith(directory);
      } catch {
        return false; // gone meanwhile
      }
    });
}

describe.runIf(isRoot)('a process killed in the middle', () => {
  async function bigArchive(): Promise<string> {
    nastyTree();
    for (let index = 0; index < 60; index++)
      writeFileSync(at('tree', `noise-${index}`), randomBytes(4 << 20));
    return nastyArchive('--format=posix');
  }

  test.each(['auto', 'off'] as const)(
    'the parent, while unpacking (sandbox %s): nothing visible, no process left, the next import sweeps',
    async (sandbox) => {
      const sourcePath = await bigArchive();
      const {child, said} = importProcess({directory: at('machines'), sourcePath, sandbox});
      await said('started');
      const held = namesIn(at('machines'));
      expect(held).toEqual([expect.stringMatching(/^\.#image[0-9a-f]{16}$/)]);
      child.kill('SIGKILL');
      await vi.waitFor(() => expect(unpackers()).toEqual([]), {timeout: 10_000});
      await vi.waitFor(async () => expect(await engine.listTransfers()).toEqual([]));
      const {path: image} = await run(sourcePath);
      expect(namesIn(at('machines'))).toEqual(['image']);
      expectSameTree(image, at('tree'));
    },
  );

  test('the parent, when all is there but the name: the same', async () => {
    const {child, said} = importProcess({
      directory: at('machines'),
      sourcePath: nastyArchive('--format=posix'),
      hold: true,
    });
    await said('held');
    expect(await engine.listTransfers()).toHaveLength(1);
    child.kill('SIGKILL');
    await vi.waitFor(() => expect(child.exitCode ?? child.signalCode).not.toBeNull());
    await vi.waitFor(async () => expect(await engine.listTransfers()).toEqual([]));
    await run(nastyArchive('--format=posix'), {localName: 'other'});
    expect(namesIn(at('machines'))).toEqual(['other']);
  });

  test('the child: the import fails and leaves nothing', async () => {
    const sourcePath = await bigArchive();
    const transfer = await engine.import({
      format: 'auto',
      store: storeAt(directory),
      localName: 'image',
      sourcePath,
    });
    for (const pid of unpackers()) process.kill(pid, 'SIGKILL');
    await expect(transfer.finished).rejects.toMatchObject({
      code: 'InternalError',
      message: expect.stringContaining('ended early'),
    });
    expect(namesIn(at('machines'))).toEqual([]);
  });

  test('a running import of another process is seen, not swept, and can be cancelled from here', async () => {
    const options = {
      directory: at('machines'),
      runtimeDirectory: at('run'),
      sourcePath: nastyArchive('--format=posix'),
      hold: true,
    };
    const {child, said} = importProcess(options);
    await said('held');
    const [transfer] = await engine.listTransfers();
    expect(transfer).toMatchObject({type: 'import-tar', localName: 'image'});
    await run(nastyArchive('--format=posix'), {localName: 'other'});
    expect(namesIn(at('machines'))).toEqual([expect.stringMatching(/^\.#image/), 'other']);
    expect(await engine.cancelTransfer(transfer?.id ?? 0)).toBe(true);
    expect(await engine.cancelTransfer(4_000_000)).toBe(false);
    await vi.waitFor(() => expect(existsSync(at('run/transfers', `${transfer?.id}.cancel`))).toBe(true));
    child.kill('SIGKILL'); // it holds in our own beforeCommit, which no engine can interrupt
  });
});
