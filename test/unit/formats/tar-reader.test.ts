import {execFileSync} from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import type {TarEntry} from '../../../src/formats/tar-entry.ts';
import {readTar} from '../../../src/formats/tar-reader.ts';

let directory: string;
const longName = `${'d'.repeat(120)}/${'n'.repeat(180)}`;
const sparseSize = 3_000_000;

beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-tar-'));
  const tree = path.join(directory, 'tree');
  mkdirSync(path.join(tree, path.dirname(longName)), {recursive: true});
  writeFileSync(path.join(tree, longName), 'long');
  writeFileSync(path.join(tree, 'file'), 'hello', {mode: 0o640});
  linkSync(path.join(tree, 'file'), path.join(tree, 'hard'));
  symlinkSync('t'.repeat(150), path.join(tree, 'soft'));
  writeFileSync(path.join(tree, 'ünï'), '');
  utimesSync(path.join(tree, 'ünï'), 1_000_000_000.5, 1_000_000_000.5);
  const fd = openSync(path.join(tree, 'sparse'), 'w');
  ftruncateSync(fd, sparseSize);
  for (let index = 0; index < 60; index++) writeSync(fd, `run ${index}`, index * 40_960);
  closeSync(fd);
});
afterAll(() => rmSync(directory, {recursive: true, force: true}));

interface Read extends TarEntry {
  contents: Buffer;
}

async function read(bytes: Buffer, chunkSize = 10_000): Promise<Record<string, Read>> {
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let start = 0; start < bytes.length; start += chunkSize)
      yield bytes.subarray(start, start + chunkSize);
  }
  const entries: Record<string, Read> = {};
  for await (const entry of readTar(chunks())) {
    const contents = Buffer.alloc(entry.size);
    for await (const run of entry.body()) run.bytes.copy(contents, run.offset);
    entries[String(entry.path)] = {...entry, contents};
  }
  return entries;
}

function make(...options: string[]): Buffer {
  return execFileSync('tar', ['-C', path.join(directory, 'tree'), '--sort=name', ...options, '-c', '.'], {
    maxBuffer: 1 << 28,
  });
}

const forms = [
  ['--format=gnu'],
  ['--format=posix'],
  ['--format=gnu', '--sparse'],
  ['--format=posix', '--sparse', '--sparse-version=0.0'],
  ['--format=posix', '--sparse', '--sparse-version=0.1'],
  ['--format=posix', '--sparse', '--sparse-version=1.0'],
];

describe.each(forms)('an archive of GNU tar %s %s %s', (...options) => {
  test('yields every entry with its names, contents, holes and times', async () => {
    const archive = make(...options);
    for (const chunkSize of [10_000, 512, 77]) {
      const entries = await read(archive, chunkSize);
      expect(String(entries[`./${longName}`]?.contents)).toBe('long');
      expect(entries['./file']).toMatchObject({type: 'file', mode: 0o640, size: 5});
      expect(entries['./hard']).toMatchObject({type: 'hardlink', linkPath: Buffer.from('./file')});
      expect(String(entries['./soft']?.linkPath)).toBe('t'.repeat(150));
      expect(entries['./ünï']?.mtimeNs).toBe(
        options[0] === '--format=posix' ? 1_000_000_000_500_000_000n : 1_000_000_000_000_000_000n,
      );
      const sparse = readFileSync(path.join(directory, 'tree/sparse'));
      expect(entries['./sparse']?.contents.equals(sparse)).toBe(true);
    }
  });

  test('cut anywhere but at the end mark it fails by name', async () => {
    const archive = make(...options);
    for (let end = 100; end < archive.length - 12_000; end += 3331) {
      if (end % 512 === 0) continue;
      await expect(read(archive.subarray(0, end)), `cut at ${end}`).rejects.toMatchObject({
        code: 'InvalidArchive',
      });
    }
  });
});

test('v7 and ustar archives are read', async () => {
  for (const format of ['v7', 'ustar']) {
    const archive = execFileSync('tar', [
      '-C',
      path.join(directory, 'tree'),
      `--format=${format}`,
      '-c',
      'file',
      'hard',
    ]);
    const entries = await read(archive);
    expect(Object.keys(entries)).toEqual(['file', 'hard']);
    expect(String(entries.file?.contents)).toBe('hello');
  }
});

describe('hostile headers', () => {
  /** A header with a right checksum; fields as [offset, text or bytes]. */
  function header(...fields: [number, string | Buffer][]): Buffer {
    const block = Buffer.alloc(512);
    block.write('name', 0);
    block.write('0000644\0', 100);
    block.write('ustar\u000000', 257);
    for (const [offset, value] of fields) Buffer.from(value as string).copy(block, offset);
    block.fill(0x20, 148, 156);
    block.write(
      `${block
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    );
    return block;
  }
  const end = Buffer.alloc(1024);
  const pax = (text: string) => {
    const body = Buffer.from(text);
    const padded = Buffer.alloc(Math.ceil(body.length / 512) * 512);
    body.copy(padded);
    return Buffer.concat([header([156, 'x'], [124, body.length.toString(8).padStart(11, '0')]), padded]);
  };

  const base256 = (value: bigint, length: number) => {
    const bytes = Buffer.alloc(length);
    for (let index = length - 1, left = value; index >= 0; index--, left >>= 8n)
      bytes[index] = Number(left & 255n);
    bytes[0] = (bytes[0] ?? 0) | 0x80;
    return bytes;
  };

  test('base 256 numbers are read, beyond what a number holds they are refused', async () => {
    const large = header([108, base256(3_000_000_000n, 8)], [136, base256(-5n & ((1n << 96n) - 1n), 12)]);
    expect((await read(Buffer.concat([large, end]))).name).toMatchObject({
      uid: 3_000_000_000,
      mtimeNs: -5_000_000_000n,
    });
    for (const value of [1n << 60n, -1n & ((1n << 96n) - 1n)]) {
      const result = read(Buffer.concat([header([124, base256(value, 12)]), end]));
      await expect(result).rejects.toMatchObject({code: 'InvalidArchive'});
    }
  });

  test.each([
    ['an extended header of 2 MiB', header([156, 'x'], [124, '00010000000'])],
    ['a GNU long name of 2 MiB', header([156, 'L'], [124, '00010000000'])],
    ['a name of 5000 bytes', Buffer.concat([pax(`5011 path=${'a'.repeat(5000)}\n`), header()])],
  ])('%s is LimitExceeded', async (_what, bytes) => {
    await expect(read(Buffer.concat([bytes, end]))).rejects.toMatchObject({code: 'LimitExceeded'});
  });

  test.each([
    ['a record that is longer than its header', pax('99 path=x\n')],
    ['a record without a length', pax('path=x\n')],
    ['a record without an end', pax('9 path=xx')],
    ['a negative size', pax('11 size=-5\n')],
    ['a time that is none', pax('14 mtime=1e99\n')],
    [
      'overlapping sparse runs',
      pax('22 GNU.sparse.size=10\n29 GNU.sparse.map=0,5,3,2\n'.replace('29', '28')),
    ],
    [
      'a sparse run outside the file',
      pax('22 GNU.sparse.size=10\n25 GNU.sparse.map=8,5\n'.replace('25', '24')),
    ],
  ])('%s is InvalidArchive', async (_what, bytes) => {
    await expect(read(Buffer.concat([bytes, header(), end]))).rejects.toMatchObject({code: 'InvalidArchive'});
  });

  test('other data after the end mark is refused, zeros of any number are not', async () => {
    await expect(read(Buffer.concat([header(), end, Buffer.from('x')]))).rejects.toMatchObject({
      code: 'InvalidArchive',
    });
    for (const zeros of [512, 1024, 10_240 * 7]) {
      expect(Object.keys(await read(Buffer.concat([header(), Buffer.alloc(zeros)])))).toEqual(['name']);
    }
  });

  test('no archive at all and an empty one are refused', async () => {
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(10_240), Buffer.from('hello '.repeat(1000))]) {
      await expect(read(bytes)).rejects.toMatchObject({code: 'InvalidArchive'});
    }
  });

  test('extended attributes are bytes, and an access list that names users is left out', async () => {
    const acl = 'user::rw-,user:1000:r--,group::r--,mask::r--,other::---';
    const record = (key: string, value: Buffer) => {
      const rest = key.length + value.length + 3;
      const length = rest + String(rest + String(rest).length).length;
      return Buffer.concat([Buffer.from(`${length} ${key}=`), value, Buffer.from('\n')]);
    };
    const value = Buffer.from([0, 10, 255]);
    const body = (text: string) =>
      Buffer.concat([
        record('SCHILY.xattr.user.x', value),
        record('SCHILY.acl.access', Buffer.from(text)),
      ]).toString('latin1');
    const archive = (text: string) => {
      const content = Buffer.from(body(text), 'latin1');
      const padded = Buffer.alloc(512);
      content.copy(padded);
      const size = content.length.toString(8).padStart(11, '0');
      return Buffer.concat([header([156, 'x'], [124, size]), padded, header(), end]);
    };
    const numeric = (await read(archive(acl))).name;
    expect(numeric?.xattrs.get('user.x')).toEqual(value);
    expect(numeric?.xattrs.get('system.posix_acl_access')?.toString('hex')).toBe(
      '0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000000ffffffff',
    );
    const named = (await read(archive(acl.replace('1000', 'lisa')))).name;
    expect(named?.hasForeignAcl).toBe(true);
    expect([...(named?.xattrs.keys() ?? [])]).toEqual(['user.x']);
  });
});
