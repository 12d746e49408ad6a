import {execFileSync, spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {decodeQcow2, makeDisk, makeQcow2} from '../../../support/qcow2.ts';

let directory: string;
let disk: string;
let contents: Buffer;

beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-qcow2-'));
  disk = makeDisk(path.join(directory, 'disk.raw'), 3_000_832);
  contents = readFileSync(disk);
});
afterAll(() => rmSync(directory, {recursive: true}));

const sizes = ['cluster_size=512', 'cluster_size=4k', 'cluster_size=64k', 'cluster_size=2M'];
const allocations = ['off', 'metadata', 'falloc', 'full'].map((mode) => `preallocation=${mode}`);
const forms = ['compat=0.10', 'compat=1.1', 'compat=1.1,lazy_refcounts=on', 'compat=1.1,refcount_bits=1'];
const plain = [
  ...sizes.flatMap((size) => forms.map((form) => `${form},${size}`)),
  ...allocations.flatMap((allocation) => [allocation, `${allocation},extended_l2=on`]),
  'extended_l2=on,cluster_size=16k',
  'extended_l2=on,cluster_size=2M',
  'compat=1.1,refcount_bits=64',
  'compat=1.1,refcount_bits=4',
];
const compressed = ['zlib', 'zstd'].flatMap((type) =>
  [
    'cluster_size=512',
    'cluster_size=64k',
    'cluster_size=2M',
    'extended_l2=on',
    'cluster_size=16k,extended_l2=on',
  ].map((size) => `compression_type=${type},${size}`),
);

describe('an image made by qemu-img gives its disk back', () => {
  test.each(plain)('with %s', (options) => {
    expect(decodeQcow2(makeQcow2(disk, options)).equals(contents)).toBe(true);
  });

  test.each(compressed)('compressed, with %s', (options) => {
    expect(decodeQcow2(makeQcow2(disk, options, true)).equals(contents)).toBe(true);
  });

  test('written to again, with zero clusters, discarded parts and snapshots inside', () => {
    for (const options of ['compat=0.10', 'compat=1.1', 'compat=1.1,extended_l2=on,cluster_size=64k']) {
      const file = makeQcow2(disk, options);
      const commands = ['write -P 7 100k 300k', 'write -z 200k 150k', 'discard 1M 1M', 'write -P 9 2M 3k'];
      execFileSync('qemu-img', ['snapshot', '-c', 'before', file]);
      for (const command of commands) execFileSync('qemu-io', ['-f', 'qcow2', '-c', command, file]);
      execFileSync('qemu-img', ['snapshot', '-c', 'after', file]);
      execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'write -P 5 0 70k', file]);
      const raw = path.join(directory, 'expected.raw');
      execFileSync('qemu-img', ['convert', '-O', 'raw', file, raw]);
      expect(decodeQcow2(file).equals(readFileSync(raw))).toBe(true);
    }
  });

  test('whatever its size is, also one that ends inside a sector', () => {
    const bytes = readFileSync(makeQcow2(disk, 'cluster_size=64k'));
    bytes.writeBigUInt64BE(BigInt(contents.length - 100), 24);
    expect(decodeQcow2(bytes).equals(contents.subarray(0, -100))).toBe(true);
    const empty = path.join(directory, 'empty.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', empty, '0']);
    expect(decodeQcow2(empty).length).toBe(0);
  });
});

describe('refused by name is', () => {
  const refused = (bytes: Buffer | string, code: string, message: string | RegExp) =>
    expect(() => decodeQcow2(bytes)).toThrow(
      expect.objectContaining({
        code,
        message:
          typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
      }),
    );
  const changed = (options: string, change: (bytes: Buffer) => void): Buffer => {
    const bytes = readFileSync(makeQcow2(disk, options));
    change(bytes);
    return bytes;
  };

  test('a backing file', () => {
    const backed = path.join(directory, 'backed.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', disk, '-F', 'raw', backed]);
    refused(backed, 'NotSupported', 'has a backing file');
  });

  test('an external data file', () => {
    const external = path.join(directory, 'external.qcow2');
    const options = `data_file=${path.join(directory, 'data.raw')}`;
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', options, external, '1M']);
    refused(external, 'NotSupported', 'has an external data file');
  });

  test('encryption', () => {
    const encrypted = path.join(directory, 'encrypted.qcow2');
    const secret = [
      '--object',
      'secret,id=s,data=abc',
      '-o',
      'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10',
    ];
    // It times its hash first, and gives up at once where the clock of a busy host shows no difference.
    const make = () =>
      spawnSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...secret, encrypted, '1M']).status;
    for (let attempt = 0; make() !== 0 && attempt < 20; attempt++);
    refused(encrypted, 'NotSupported', 'is encrypted (method 2)');
  });

  test('what is marked dirty, corrupt, or with features nobody knows', () => {
    const feature = (bits: bigint) => changed('compat=1.1', (bytes) => bytes.writeBigUInt64BE(bits, 72));
    refused(feature(1n), 'NotSupported', 'is marked as dirty');
    refused(feature(2n), 'NotSupported', 'is marked as corrupt');
    refused(feature(1n << 40n), 'NotSupported', 'has the unknown feature 40');
    refused(
      changed('compat=1.1', (bytes) => bytes.writeUInt32BE(4, 4)),
      'NotSupported',
      'has version 4',
    );
    const type = changed('compat=1.1', (bytes) => {
      bytes.writeBigUInt64BE(8n, 72);
      bytes[104] = 9;
    });
    refused(type, 'NotSupported', 'has the unknown compression 9');
  });

  test('a header that contradicts itself', () => {
    const header = (change: (bytes: Buffer) => void) => changed('compat=1.1', change);
    refused(
      header((bytes) => bytes.writeUInt32BE(22, 20)),
      'InvalidArchive',
      'its cluster size is 2^22 bytes',
    );
    refused(
      header((bytes) => bytes.writeUInt32BE(7, 96)),
      'InvalidArchive',
      'reference counts have 2^7 bits',
    );
    refused(
      header((bytes) => bytes.writeUInt32BE(90, 100)),
      'InvalidArchive',
      'its header has 90 bytes',
    );
    refused(
      header((bytes) => bytes.writeUInt32BE(0, 36)),
      'InvalidArchive',
      'its L1 table has 0 entries',
    );
    refused(
      header((bytes) => bytes.writeBigUInt64BE(8n, 72)),
      'InvalidArchive',
      'contradict each other',
    );
    refused(
      header((bytes) => bytes.writeBigUInt64BE(1000n, 40)),
      'InvalidArchive',
      'L1 table does not begin with a cluster',
    );
    refused(Buffer.from('514649fb0000', 'hex'), 'InvalidArchive', 'it has no qcow2 header');
    refused(Buffer.from('514649fb00000003', 'hex'), 'InvalidArchive', 'truncated');
  });

  test('an absurd size', () => {
    const header = (change: (bytes: Buffer) => void) => changed('compat=1.1', change);
    refused(
      header((bytes) => bytes.writeBigUInt64BE(1n << 62n, 24)),
      'LimitExceeded',
      /more than the limit/,
    );
    refused(
      header((bytes) => bytes.writeUInt32BE(0xffffffff, 36)),
      'LimitExceeded',
      'L1 table has 4294967295 entries',
    );
    refused(
      header((bytes) => bytes.writeUInt32BE(0xffffffff, 56)),
      'LimitExceeded',
      'table of reference counts',
    );
  });

  test('a file that was cut, wherever', () => {
    for (const [options, isCompressed] of [
      ['cluster_size=64k', false],
      ['cluster_size=64k', true],
      ['cluster_size=512', false],
    ] as const) {
      const bytes = readFileSync(makeQcow2(disk, options, isCompressed));
      for (const part of [0.001, 0.01, 0.1, 0.4, 0.7, 0.99]) {
        const cut = bytes.subarray(0, Math.floor(bytes.length * part));
        expect(() => decodeQcow2(cut)).toThrow(expect.objectContaining({code: 'InvalidArchive'}));
      }
    }
  });

  test('tables that overlap or lead in circles', () => {
    const tableOf = (bytes: Buffer) => Number(bytes.readBigUInt64BE(40));
    const l1 = (change: (bytes: Buffer, table: number) => void) =>
      changed('cluster_size=512', (bytes) => change(bytes, tableOf(bytes)));
    const same = l1((bytes, table) => bytes.copy(bytes, table + 8, table, table + 8));
    refused(same, 'InvalidArchive', 'L2 table 1 lies where something else lies');
    const itself = l1((bytes, table) => bytes.writeBigUInt64BE(BigInt(table) | (1n << 63n), table));
    refused(itself, 'InvalidArchive', 'L2 table 0 lies where something else lies');
    const header = l1((bytes, table) => bytes.writeBigUInt64BE((1n << 63n) | 1n, table));
    refused(header, 'InvalidArchive', 'L1 entry 0 has bits set that must not be');
    const onTable = l1((bytes, table) => {
      const l2 = Number(bytes.readBigUInt64BE(table) & 0x00fffffffffffe00n);
      bytes.writeBigUInt64BE(BigInt(l2) | (1n << 63n), l2);
    });
    refused(onTable, 'InvalidArchive', 'the cluster at 0 lies where a table lies');
    const far = l1((bytes, table) => bytes.writeBigUInt64BE((1n << 63n) | (1n << 50n), table));
    refused(far, 'InvalidArchive', 'L2 table 0 lies beyond its end');
  });

  test('reference counts that are lower than the references', () => {
    const bytes = changed('cluster_size=64k', (image) => {
      const block = Number(image.readBigUInt64BE(Number(image.readBigUInt64BE(48))));
      image.fill(0, block + 2 * 6, block + 2 * 7);
    });
    refused(
      bytes,
      'InvalidArchive',
      /the cluster at \d+ of the file is used but its reference count says less/,
    );
    const none = changed('cluster_size=64k', (image) => image.fill(0, 65_536, 2 * 65_536));
    refused(none, 'InvalidArchive', 'reference count');
  });

  test('compressed clusters that are damaged, too long or too short', () => {
    for (const type of ['zlib', 'zstd']) {
      const bytes = readFileSync(makeQcow2(disk, `compression_type=${type},cluster_size=64k`, true));
      bytes.fill(0xa5, 5 * 65_536 + 3, 5 * 65_536 + 40);
      const damaged = path.join(directory, 'damaged');
      writeFileSync(damaged, bytes);
      expect(() => decodeQcow2(damaged)).toThrow(expect.objectContaining({code: 'InvalidArchive'}));
    }
  });
});
