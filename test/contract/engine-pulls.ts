/** What every engine promises about pulls; part of the contract in engine.ts. */
import {execFileSync} from 'node:child_process';
import {existsSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {gzipSync} from 'node:zlib';
import {afterEach, beforeEach, expect, test} from 'vitest';
import type {PullRequest, TransferResult} from '../../src/engine/engine.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {etagOf, modifiedSeconds, type ServedFiles, serveFiles} from '../served-files.ts';
import {makeDisk, makeQcow2} from '../support/qcow2.ts';
import type {EngineUnderTest} from './engine.ts';

export const disk = Buffer.alloc(2 << 20);
disk.write('boot', 0);
disk.write('end', disk.length - 3);

/** An archive with `etc/os-release` in it. */
export function tarOfOs(): Buffer {
  const tree = mkdtempSync(path.join(tmpdir(), 'imgctl-tree-'));
  execFileSync('mkdir', [path.join(tree, 'etc')]);
  writeFileSync(path.join(tree, 'etc/os-release'), 'ID=test\n');
  const archive = execFileSync('tar', ['-C', tree, '-cf', '-', '.']);
  execFileSync('rm', ['-r', tree]);
  return archive;
}

export function enginePullContract(open: () => Promise<EngineUnderTest>): void {
  let subject: EngineUnderTest;
  let server: ServedFiles;

  beforeEach(async () => {
    subject = await open();
    server = await serveFiles({'/disk.raw.gz': gzipSync(disk), '/tree.tar': tarOfOs()});
  });
  afterEach(async () => {
    await server.close();
    for (const name of inStore()) await removeTree(place(name));
    await subject.close?.();
  });

  const inStore = () =>
    existsSync(subject.store.directory) ? readdirSync(subject.store.directory).sort() : [];
  const place = (name: string) => path.join(subject.store.directory, name);

  async function pull(options: Partial<PullRequest> = {}, lines: string[] = []): Promise<TransferResult> {
    const transfer = await subject.engine.pull({
      format: 'raw',
      store: subject.store,
      url: `${server.url}/disk.raw.gz`,
      localName: 'one',
      verify: 'no',
      ...options,
    });
    transfer.onLog((_level, line) => lines.push(line));
    return await transfer.finished;
  }

  test('a disk image is stored decompressed, sparse, with the time of the server', async () => {
    const lines: string[] = [];
    const url = `${server.url}/disk.raw.gz`;
    const result = await pull({}, lines);
    expect(result).toMatchObject({path: place('one.raw'), format: 'raw'});
    expect(readFileSync(place('one.raw')).equals(disk)).toBe(true);
    const {mode, mtimeMs, blocks} = statSync(place('one.raw'));
    expect({mode: mode & 0o7777, mtimeMs}).toEqual({mode: 0o644, mtimeMs: modifiedSeconds * 1000});
    expect(blocks * 512).toBeLessThan(disk.length / 2);
    expect(inStore()).toEqual(['one.raw']);
    expect(lines.slice(0, 2)).toEqual([
      `Pulling '${url}', saving as 'one'.`,
      `Operating on image directory '${subject.store.directory}'.`,
    ]);
    expect(lines).toEqual(
      expect.arrayContaining([
        ...(subject.lacks?.tellsAcquired ? [] : [`Acquired 2M for ${url}.`]),
        `Download of ${url} complete.`,
        `HTTP request to ${server.url}/disk.roothash failed with code 404.`,
        'Root hash file could not be retrieved, proceeding without.',
        "Created new local image 'one'.",
      ]),
    );
    expect(lines.at(-1)).toBe('Operation completed successfully.');
  });

  test('a qcow2 disk is stored as the disk inside', async () => {
    const sources = mkdtempSync(path.join(tmpdir(), 'imgctl-qcow2-'));
    const plain = makeDisk(path.join(sources, 'disk'), 1 << 20);
    const qcow2 = readFileSync(makeQcow2(plain, 'compat=1.1'));
    server.files.set('/disk.qcow2.gz', {body: gzipSync(qcow2)});
    const lines: string[] = [];
    await pull({url: `${server.url}/disk.qcow2.gz`, keepDownload: true}, lines);
    expect(readFileSync(place('one.raw')).equals(readFileSync(plain))).toBe(true);
    expect(lines.slice(-3)).toEqual([
      'Unpacking QCOW2 file.',
      "Created new local image 'one'.",
      'Operation completed successfully.',
    ]);
    await removeTree(sources);
  });

  test('an archive is stored as a directory', async () => {
    const result = await pull({format: 'tar', url: `${server.url}/tree.tar`});
    expect(result).toMatchObject({path: place('one'), format: 'tar'});
    expect(readFileSync(place('one/etc/os-release'), 'utf8')).toBe('ID=test\n');
    expect(inStore()).toEqual(['one']);
  });

  test('a file URL is read like any other', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-file-url-'));
    const file = path.join(directory, 'source.raw');
    writeFileSync(file, disk);
    await pull({url: `file://${file}`});
    await removeTree(directory);
    expect(readFileSync(place('one.raw')).equals(disk)).toBe(true);
  });

  test('a kept download copy is read-only and spares the second download', async () => {
    await pull({keepDownload: true});
    const escaped = server.url.replaceAll('/', '\\x2f').replaceAll('.', '\\x2e');
    const etag = etagOf(gzipSync(disk)).replaceAll('"', '\\x22');
    const copy = `.raw-${escaped}\\x2fdisk\\x2eraw\\x2egz.${etag}.raw`;
    expect(inStore()).toEqual([copy, 'one.raw']);
    expect(statSync(place(copy)).mode & 0o7777).toBe(0o444);
    expect(statSync(place('one.raw')).mode & 0o7777).toBe(0o644);
    const lines: string[] = [];
    await pull({keepDownload: true, localName: 'two'}, lines);
    expect(lines).toContain(`Image already downloaded. Skipping download. (${etagOf(gzipSync(disk))})`);
    expect(
      server.seen.filter((request) => request.path === '/disk.raw.gz').map(({status}) => status),
    ).toEqual([200, 304]);
    expect(readFileSync(place('two.raw')).equals(disk)).toBe(true);
    expect(inStore()).toEqual([copy, 'one.raw', 'two.raw']);
  });

  test('files beside the image come with it, but do not replace others unless forced', async () => {
    server.files.set('/disk.roothash', {body: Buffer.from('0'.repeat(64))});
    server.files.set('/disk.nspawn', {body: Buffer.from('[Exec]\n')});
    await pull({keepDownload: true});
    expect(inStore().filter((name) => !name.startsWith('.'))).toEqual([
      'one.nspawn',
      'one.raw',
      'one.roothash',
    ]);
    expect(readFileSync(place('one.nspawn'), 'utf8')).toBe('[Exec]\n');
    expect(inStore().filter((name) => name.startsWith('.raw-'))).toHaveLength(3);
    writeFileSync(place('two.nspawn'), 'mine');
    const lines: string[] = [];
    await pull({localName: 'two'}, lines);
    expect(readFileSync(place('two.nspawn'), 'utf8')).toBe('mine');
    expect(lines).toContain(`File ${place('two.nspawn')} already exists, not replacing.`);
    if (subject.lacks?.sideFilesTwice) {
      await expect(pull({localName: 'two', force: true})).rejects.toMatchObject({code: 'ImageAlreadyExists'});
      return;
    }
    await pull({localName: 'two', force: true});
    expect(readFileSync(place('two.nspawn'), 'utf8')).toBe('[Exec]\n');
  });

  test('read-only images are, and force replaces them in every form', async () => {
    await pull({format: 'tar', url: `${server.url}/tree.tar`, readOnly: true});
    await expect(pull()).rejects.toMatchObject({code: 'ImageAlreadyExists'});
    await pull({force: true, readOnly: true});
    expect(inStore()).toEqual(subject.lacks?.replacesOtherForms ? ['one', 'one.raw'] : ['one.raw']);
    expect(statSync(place('one.raw')).mode & 0o7777).toBe(0o444);
  });

  test.each([
    [404, 'Failed to retrieve image file. (Wrong URL?)'],
    [403, 'Failed to retrieve image file.'],
  ])('status %d leaves nothing', async (status, line) => {
    server.files.set('/gone.raw', {body: Buffer.alloc(0), status});
    const lines: string[] = [];
    const url = `${server.url}/gone.raw`;
    await expect(pull({url}, lines)).rejects.toMatchObject({code: 'DownloadError'});
    expect(lines.slice(2)).toEqual([`HTTP request to ${url} failed with code ${status}.`, line]);
    expect(inStore()).toEqual([]);
  });

  test.each(['ftp://host/x.raw', 'http://', 'file:', 'x.raw'])('%j is refused at once', async (url) => {
    await expect(pull({url})).rejects.toMatchObject({code: 'InvalidArgument'});
    expect(inStore()).toEqual([]);
  });

  test('a wrong checksum leaves nothing, a right one is enough', async () => {
    const sums = (digest: string) => ({body: Buffer.from(`${digest}  disk.raw.gz\n`)});
    const lines: string[] = [];
    server.files.set('/SHA256SUMS', sums('0'.repeat(64)));
    await expect(pull({verify: 'checksum'}, lines)).rejects.toMatchObject({code: 'ChecksumError'});
    expect(lines.at(-1)).toBe(
      'DOWNLOAD INVALID: Checksum of disk.raw.gz file did not check out, file has been tampered with.',
    );
    expect(inStore()).toEqual([]);
    const digest = execFileSync('sha256sum', {input: gzipSync(disk)})
      .toString()
      .slice(0, 64);
    server.files.set('/SHA256SUMS', sums(digest));
    lines.length = 0;
    const result = await pull({verify: 'checksum'}, lines);
    const verification = {level: 'checksum', sha256: digest};
    expect(result.verification).toEqual(subject.lacks?.digestOfPull ? undefined : verification);
    expect(lines).toContain(`SHA256 checksum of ${server.url}/disk.raw.gz is valid.`);
  });
}
