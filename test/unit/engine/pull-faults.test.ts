import {execFileSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {gzipSync, zstdCompressSync} from 'node:zlib';
import {afterEach, describe, expect, test} from 'vitest';
import {type BenchOptions, PullBench, sha256} from './pull-bench.ts';

const disk = randomBytes(400_000);
let bench: PullBench;

afterEach(() => bench.close());

async function open(files: Record<string, Buffer | string> = {}, options: BenchOptions = {}): Promise<void> {
  bench = await PullBench.open({'/disk.raw': disk, ...files}, options);
}

const stored = () => readFileSync(bench.place('one.raw')).equals(disk);
/** A tar archive with one file. */
function archiveOf(content: Buffer): Buffer {
  const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-archive-'));
  writeFileSync(path.join(directory, 'zeros'), content);
  const archive = execFileSync('tar', ['-C', directory, '-cf', '-', 'zeros'], {maxBuffer: 16 << 20});
  rmSync(directory, {recursive: true});
  return archive;
}

const ranges = () => bench.server.seen.flatMap(({headers}) => headers.range ?? []);

describe('a download that breaks', () => {
  test('is gone on with at once, as often as bytes arrive', async () => {
    await open({}, {retries: 1});
    bench.server.files.set('/disk.raw', {body: disk, cutAfter: 150_000});
    await bench.pull('/disk.raw');
    expect(stored()).toBe(true);
    expect(bench.statuses('/disk.raw')).toEqual([200, 206, 206]);
  });

  test('for good is gone on with by the next pull of the URL', async () => {
    await open();
    bench.server.files.set('/disk.raw', {body: disk, cutAfter: 150_000});
    await expect(bench.pull('/disk.raw')).rejects.toMatchObject({retryable: true});
    expect(bench.lines.at(-1)).toBe('Failed to retrieve image file.');
    expect(bench.names()).toEqual([]);
    expect(bench.cached().filter((name) => name.endsWith('.partial'))).toHaveLength(1);
    bench.server.files.set('/disk.raw', {body: disk});
    const result = await bench.pull('/disk.raw');
    expect(ranges()).toHaveLength(1);
    expect(stored()).toBe(true);
    expect(result.verification?.sha256).toBe(sha256(disk));
    expect(bench.cached()).toEqual([]);
  });

  test('begins anew when the file is another one by then', async () => {
    await open();
    bench.server.files.set('/disk.raw', {body: Buffer.from(disk).reverse(), cutAfter: 150_000});
    await expect(bench.pull('/disk.raw')).rejects.toMatchObject({retryable: true});
    bench.server.files.set('/disk.raw', {body: disk});
    await bench.pull('/disk.raw');
    expect(bench.statuses('/disk.raw')).toEqual([200, 200]);
    expect(stored()).toBe(true);
  });

  test('begins anew when the server cannot say whether it is the same file', async () => {
    await open();
    bench.server.files.set('/disk.raw', {body: disk, cutAfter: 150_000, etag: null});
    await expect(bench.pull('/disk.raw')).rejects.toMatchObject({retryable: true});
    expect(bench.cached()).toEqual([]);
    bench.server.files.set('/disk.raw', {body: disk, etag: null});
    await bench.pull('/disk.raw');
    expect(ranges()).toEqual([]);
    expect(stored()).toBe(true);
  });

  test.each(['tar', 'raw'] as const)(
    'takes along what was unpacked of it, when it begins anew with another file (%s)',
    async (format) => {
      await open({}, {retries: 1});
      const fileOf = (bytes: Buffer) => gzipSync(format === 'tar' ? archiveOf(bytes) : bytes);
      bench.server.files.set('/file', {body: fileOf(randomBytes(400_000)), cutAfter: 150_000, etag: null});
      const transfer = await bench.start('/file', {format});
      transfer.onLog((_level, line) => {
        if (line.endsWith('; continuing')) bench.server.files.set('/file', {body: fileOf(disk), etag: null});
      });
      await transfer.finished;
      expect(bench.statuses('/file')).toEqual([200, 200]);
      const made = bench.place(format === 'tar' ? 'one/zeros' : 'one.raw');
      expect(readFileSync(made).equals(disk)).toBe(true);
      expect(bench.names()).toEqual([format === 'tar' ? 'one' : 'one.raw']);
    },
  );

  test.each(['tar', 'raw'] as const)(
    'or that is refused leaves nothing of what was unpacked beside it (%s)',
    async (format) => {
      await open({'/SHA256SUMS': `${'0'.repeat(64)}  file\n`});
      const body = gzipSync(format === 'tar' ? archiveOf(disk) : disk);
      bench.server.files.set('/file', {body});
      await expect(bench.pull('/file', {format, verify: 'checksum'})).rejects.toMatchObject({
        code: 'ChecksumError',
      });
      bench.server.files.set('/file', {body, cutAfter: 200_000});
      await expect(bench.pull('/file', {format})).rejects.toMatchObject({retryable: true});
      expect(bench.names()).toEqual([]);
    },
  );

  test('is told from a whole one by damaged bytes when it is verified', async () => {
    await open({'/SHA256SUMS': `${sha256(disk)}  disk.raw\n`});
    bench.server.files.set('/disk.raw', {body: disk, cutAfter: 150_000});
    await expect(bench.pull('/disk.raw', {verify: 'checksum'})).rejects.toMatchObject({retryable: true});
    const [partial = ''] = bench.cached().filter((name) => name.endsWith('.partial'));
    const file = path.join(bench.directory, 'cache/downloads', partial);
    const bytes = readFileSync(file);
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    bench.server.files.set('/disk.raw', {body: disk});
    const again = bench.pull('/disk.raw', {verify: 'checksum'});
    await expect(again).rejects.toMatchObject({code: 'ChecksumError'});
    await bench.pull('/disk.raw', {verify: 'checksum'});
    expect(stored()).toBe(true);
  });

  test('without a length is whole when it ends in order', async () => {
    await open({}, {retries: 1});
    bench.server.files.set('/disk.raw', {body: disk, chunked: true});
    await bench.pull('/disk.raw');
    expect(bench.lines).not.toContainEqual(expect.stringContaining('Downloading'));
    expect(stored()).toBe(true);
  });
});

describe('limits', () => {
  test.each([true, false])('end a download that is too large (without a length: %s)', async (chunked) => {
    await open({}, {maxImageBytes: 100_000});
    bench.server.files.set('/disk.raw', {body: disk, chunked});
    await expect(bench.pull('/disk.raw')).rejects.toMatchObject({code: 'LimitExceeded'});
    expect(bench.lines.slice(-2)).toEqual(['Content too large.', 'Failed to retrieve image file.']);
    expect(bench.names()).toEqual([]);
  });

  test.each([
    ['gzip', 'raw', gzipSync(Buffer.alloc(4 << 20))],
    ['zstd', 'raw', zstdCompressSync(Buffer.alloc(4 << 20))],
    ['gzip', 'tar', gzipSync(archiveOf(Buffer.alloc(4 << 20)))],
    ['zstd', 'tar', zstdCompressSync(archiveOf(Buffer.alloc(4 << 20)))],
  ] as const)('end a small download that unpacks to much: %s of %s', async (_what, format, body) => {
    await open({'/small': body}, {maxUnpackedBytes: 1 << 20});
    await expect(bench.pull('/small', {format})).rejects.toMatchObject({code: 'LimitExceeded'});
    expect(bench.names()).toEqual([]);
    await expect(bench.pull('/small', {format, localName: undefined})).rejects.toMatchObject({
      code: 'LimitExceeded',
    });
    expect(bench.names()).toEqual([]);
  });

  test('drop side files that are too large, but verity data grow with images', async () => {
    const large = Buffer.alloc((1 << 20) + 1, 'x');
    await open({'/disk.nspawn': large, '/disk.verity': large});
    await bench.pull('/disk.raw');
    expect(bench.names()).toEqual(['one.raw', 'one.verity']);
    expect(bench.lines).toContain('Settings file could not be retrieved, proceeding without.');
  });
});

describe('redirects', () => {
  test('are followed, and names still come from the URL that was asked for', async () => {
    await open({'/SHA256SUMS': `${sha256(disk)}  moved.raw\n`});
    bench.server.files.set('/moved.raw', {body: Buffer.alloc(0), location: '/disk.raw'});
    await bench.pull('/moved.raw', {verify: 'checksum'});
    expect(stored()).toBe(true);
  });

  test('to files of this machine are refused', async () => {
    await open();
    bench.server.files.set('/moved.raw', {body: Buffer.alloc(0), location: 'file:///etc/passwd'});
    await expect(bench.pull('/moved.raw')).rejects.toMatchObject({code: 'ClientError'});
    expect(bench.names()).toEqual([]);
  });
});

test('cancelling ends a pull at once; what had arrived is not downloaded again', async () => {
  await open();
  const {promise, resolve} = Promise.withResolvers<void>();
  bench.server.files.set('/disk.roothash', {body: Buffer.from('x'), after: promise});
  const transfer = await bench.start('/disk.raw');
  const isDownloaded = new Promise<void>((done) => {
    transfer.onProgress((fraction) => {
      if ((fraction ?? 0) > 0.5) done();
    });
  });
  await isDownloaded;
  transfer.cancel();
  await expect(transfer.finished).rejects.toMatchObject({code: 'Interrupted'});
  resolve();
  expect(bench.names()).toEqual([]);
  bench.server.files.delete('/disk.roothash');
  await bench.pull('/disk.raw');
  expect(bench.statuses('/disk.raw')).toEqual([200, 416]);
  expect(stored()).toBe(true);
  expect(bench.cached()).toEqual([]);
});

test('files beside the image that do not come are told, and no more', async () => {
  await open();
  bench.server.files.set('/disk.nspawn', {body: Buffer.from('[Exec]'), cutAfter: 3});
  bench.server.files.set('/disk.verity', {body: Buffer.alloc(0), status: 500});
  await bench.pull('/disk.raw');
  expect(bench.names()).toEqual(['one.raw']);
  expect(bench.lines).toContain(`HTTP request to ${bench.server.url}/disk.verity failed with code 500.`);
});

test('what is said of one file beside the image stays together', async () => {
  await open();
  const file = path.join(bench.directory, 'source.raw');
  writeFileSync(file, disk);
  await bench.pull(`file://${file}`);
  const said = bench.lines.filter((line) => /file:\/\/ file$|without\.$/.test(line));
  expect(said).toEqual(
    ['Settings', 'Root hash', 'Root hash signature', 'Verity integrity'].flatMap((name) => [
      'Transfer failed: Could not read a file:// file',
      `${name} file could not be retrieved, proceeding without.`,
    ]),
  );
});

test('settings files are for machines only', async () => {
  await open({'/disk.nspawn': '[Exec]', '/disk.roothash': 'x'}, {imageClass: 'sysext'});
  await bench.pull('/disk.raw');
  expect(bench.names()).toEqual(['one.raw', 'one.roothash']);
  expect(bench.statuses('/disk.nspawn')).toEqual([]);
});

test('damaged compression leaves nothing but a line', async () => {
  await open({'/cut.raw.gz': gzipSync(disk).subarray(0, 300_000)});
  await expect(bench.pull('/cut.raw.gz')).rejects.toMatchObject({code: 'UncompressionError'});
  expect(bench.lines.at(-1)).toBe('Failed to retrieve image file.');
  expect(bench.names()).toEqual([]);
});

test('two pulls of one URL at once share one download when the copy is kept', async () => {
  await open();
  const keep = {keepDownload: true} as const;
  await Promise.all([bench.pull('/disk.raw', keep), bench.pull('/disk.raw', {...keep, localName: 'two'})]);
  expect(bench.statuses('/disk.raw')).toEqual([200, 304]);
  expect(bench.names()).toEqual(['.raw-.raw', 'one.raw', 'two.raw']);
});

test('the fraction only grows and ends at one', async () => {
  await open({'/disk.roothash': 'x'});
  const transfer = await bench.start('/disk.raw', {keepDownload: true});
  const fractions: number[] = [];
  transfer.onProgress((fraction) => fractions.push(fraction ?? -1));
  await transfer.finished;
  expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
  expect(fractions.at(-1)).toBe(1);
});
