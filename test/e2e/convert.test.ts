/** Files converted by the engine, and judged by other programs: GNU tar, qemu-img. */
import {execFileSync} from 'node:child_process';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {EmbeddedEngine} from '../../src/engine/embedded/embedded-engine.ts';
import type {ConvertFormat} from '../../src/engine/engine.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {fixturePath} from '../fixtures-dir.ts';
import {storedTree} from '../support/recorded-tree.ts';
import {
  expectSameLines,
  recordedStream,
  recordedTree,
  recordedVolume,
  sha256,
} from '../support/zfs-stream.ts';

const isRoot = process.geteuid?.() === 0;
const hasQemu = existsSync('/usr/bin/qemu-img');
let directory: string;
let engine: EmbeddedEngine;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-convert-'));
  engine = new EmbeddedEngine({runtimeDirectory: path.join(directory, 'run')});
});
afterEach(() => removeTree(directory));

const at = (name: string) => path.join(directory, name);
const recorded = (name: string) => fixturePath('fixtures', 'zfs', `${name}.zfs.gz`);
const convert = (sourcePath: string, to: ConvertFormat, name: string) =>
  engine.convertFile({sourcePath, to, outputPath: at(name)});

describe.runIf(isRoot)(
  'a file system becomes an archive that GNU tar unpacks to the tree that was sent',
  () => {
    test.each([
      ['fs-plain', 'fs-plain'],
      ['fs-mixcomp-ec', 'fs-mixcomp'],
      ['fs-v28-zpl3', 'fs-v28-zpl3'],
    ])('%s', async (stream, truth) => {
      const {notices} = await convert(recorded(stream), 'tar', 'out.tar');
      const whole = recordedTree(truth);
      const kept = whole.filter(({type}) => type !== 'socket' && type !== 'fifo');
      expect(notices).toEqual([
        expect.stringMatching(`^${whole.length - kept.length} entries were left out as sockets`),
      ]);
      execFileSync('mkdir', [at('tree')]);
      const options = [
        '--xattrs',
        '--xattrs-include=*',
        '--numeric-owner',
        '--delay-directory-restore',
        '-xpf',
      ];
      execFileSync('tar', ['-C', at('tree'), ...options, at('out.tar')]);
      expectSameLines(storedTree(at('tree')), kept);
    });
  },
);

test('a volume becomes the disk that was sent', async () => {
  const {sizeBytes} = await convert(recorded('zvol-64K-c'), 'raw', 'out.raw');
  const {size, sha256: digest} = recordedVolume('zvol-64K');
  expect({sizeBytes, digest: sha256(readFileSync(at('out.raw')))}).toEqual({sizeBytes: size, digest});
});

test.runIf(hasQemu)(
  'a volume becomes a qcow2 image that qemu finds whole and reads as the disk',
  async () => {
    await convert(recorded('zvol-8K-c'), 'qcow2', 'out.qcow2');
    execFileSync('qemu-img', ['check', '-q', at('out.qcow2')]);
    execFileSync('qemu-img', ['convert', '-O', 'raw', at('out.qcow2'), at('out.raw')]);
    expect(sha256(readFileSync(at('out.raw')))).toBe(recordedVolume('zvol-8K').sha256);
  },
);

test.runIf(hasQemu)('sparse disks of any size become qcow2 images of their data only', async () => {
  const far = 900 * 2 ** 30;
  for (const [name, size, places] of [
    ['empty', 0, []],
    ['odd', 70_001, [0, 69_999]],
    ['large', far, [5, 2 ** 31 - 3, 2 ** 39, far - 2]],
  ] as const) {
    const fd = openSync(at(name), 'w');
    ftruncateSync(fd, size);
    for (const place of places) writeSync(fd, 'x', place);
    closeSync(fd);
    const {sizeBytes} = await convert(at(name), 'qcow2', `${name}.qcow2`);
    expect(sizeBytes).toBeLessThan(2 ** 21);
    execFileSync('qemu-img', ['check', '-q', at(`${name}.qcow2`)]);
    execFileSync('qemu-img', ['compare', '-q', '-f', 'raw', '-F', 'qcow2', at(name), at(`${name}.qcow2`)]);
  }
});

test('what is damaged, cut or of changes only becomes nothing', async () => {
  const good = recordedStream('fs-zstd-c');
  writeFileSync(at('cut'), good.subarray(0, -400));
  writeFileSync(at('flipped'), Buffer.from(good).fill(1, 9000, 9001));
  await expect(convert(at('cut'), 'tar', 'out')).rejects.toMatchObject({code: 'InvalidArchive'});
  await expect(convert(at('flipped'), 'tar', 'out')).rejects.toMatchObject({code: 'InvalidArchive'});
  await expect(convert(recorded('fs-incr'), 'tar', 'out')).rejects.toMatchObject({
    code: 'OriginNotInstalled',
  });
  await expect(convert(recorded('zvol-8K-incr'), 'raw', 'out')).rejects.toMatchObject({
    code: 'OriginNotInstalled',
  });
  await expect(convert(recorded('zvol-8K-c'), 'tar', 'out')).rejects.toMatchObject({code: 'InvalidArgument'});
  await expect(convert(recorded('refuse-raw-encrypted'), 'tar', 'out')).rejects.toMatchObject({
    code: 'NotSupported',
  });
  expect(readdirSync(directory).sort()).toEqual(['cut', 'flipped']);
});
