/**
 * What was published against readers of qcow2, each tried on ours. Nothing of the host is ever opened because an image
 * names it: the reader gets one descriptor and has no names.
 */
import {execFileSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {decodeQcow2, makeDisk, makeQcow2} from '../../../support/qcow2.ts';

let directory: string;
let good: Buffer;
let old: Buffer;

beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-qcow2-'));
  const disk = makeDisk(path.join(directory, 'disk.raw'), 1 << 20);
  good = readFileSync(makeQcow2(disk, 'compat=1.1'));
  old = readFileSync(makeQcow2(disk, 'compat=0.10'));
});
afterAll(() => rmSync(directory, {recursive: true}));

function changed(change: (bytes: Buffer) => void, from: Buffer = good): Buffer {
  const bytes = Buffer.from(from);
  change(bytes);
  return bytes;
}

/** Refused, at once: no table of the size that the header speaks of is made. */
function refused(bytes: Buffer, code: string | RegExp): void {
  const before = process.memoryUsage().arrayBuffers;
  expect(() => decodeQcow2(bytes)).toThrow(expect.objectContaining({code: expect.stringMatching(code)}));
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 << 20);
}

const anyRefusal = /^(InvalidArchive|LimitExceeded|NotSupported)$/;
/** Fields of the header: where they are, and how many bytes. */
const field = {
  l1Size: 36,
  l1Offset: 40,
  refcountOffset: 48,
  refcountClusters: 56,
  snapshots: 60,
  snapshotsOffset: 64,
};

describe('an image as in', () => {
  test('CVE-2014-0143: tables so large that their size overflows', () => {
    for (const size of [0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x2000_0001]) {
      refused(
        changed((bytes) => bytes.writeUInt32BE(size, field.l1Size)),
        anyRefusal,
      );
      refused(
        changed((bytes) => bytes.writeUInt32BE(size, field.refcountClusters)),
        anyRefusal,
      );
    }
  });

  test('CVE-2014-0144: headers, tables and names at places that are none', () => {
    for (const place of [field.l1Offset, field.refcountOffset])
      for (const value of [2n ** 64n - 1n, 2n ** 63n, 2n ** 56n, BigInt(good.length) + 65_536n, 511n])
        refused(
          changed((bytes) => bytes.writeBigUInt64BE(value, place)),
          anyRefusal,
        );
    refused(
      changed((bytes) => bytes.writeUInt32BE(0xffff_ffff, 100)),
      anyRefusal,
    );
    refused(
      changed((bytes) => bytes.writeUInt32BE(0xffff_ffff, 16)),
      'NotSupported',
    );
  });

  test('CVE-2014-0145 and CVE-2014-0146: lists of snapshots that are too long, or nowhere', () => {
    for (const count of [1, 65_537, 0x7fff_ffff, 0xffff_ffff])
      for (const place of [0n, 2n ** 64n - 65_536n, BigInt(good.length), 7n]) {
        const bytes = changed((all) => {
          all.writeUInt32BE(count, field.snapshots);
          all.writeBigUInt64BE(place, field.snapshotsOffset);
        });
        // The disk as it is needs none of them: it is read, or refused by name.
        try {
          expect(decodeQcow2(bytes).equals(decodeQcow2(good))).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({code: expect.stringMatching(anyRefusal)});
        }
      }
  });

  test('CVE-2014-0147: counts of references that lead nowhere', () => {
    const place = Number(good.readBigUInt64BE(field.refcountOffset));
    for (const value of [2n ** 64n - 1n, 2n ** 40n, 513n])
      refused(
        changed((bytes) => bytes.writeBigUInt64BE(value, place)),
        anyRefusal,
      );
  });

  test('CVE-2014-0222 and CVE-2014-0223: the first version of the format, whatever sizes it has', () => {
    for (const size of [0n, 2n ** 63n, 2n ** 64n - 1n]) {
      const bytes = changed((all) => {
        all.writeUInt32BE(1, 4);
        all.writeBigUInt64BE(size, 24);
        all.fill(0xff, 32, 40);
      }, old);
      refused(bytes, 'NotSupported');
    }
  });

  test.each(['CVE-2015-5163', 'CVE-2013-4469'])('%s: a backing file of the host', (name) => {
    const secret = path.join(directory, `${name}.secret`);
    writeFileSync(secret, Buffer.alloc(65_536, 'secret'));
    const image = path.join(directory, `${name}.qcow2`);
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', secret, '-F', 'raw', image]);
    refused(readFileSync(image), 'NotSupported');
  });

  test('CVE-2024-4467: a backing name that is an order to open something', () => {
    const name = 'json:{"driver":"raw","file":{"driver":"file","filename":"/etc/passwd"}}';
    const bytes = changed((all) => {
      all.write(name, 2048);
      all.writeBigUInt64BE(2048n, 8);
      all.writeUInt32BE(name.length, 16);
    });
    refused(bytes, 'NotSupported');
  });

  test('CVE-2024-32498 and CVE-2024-4467: an external data file, raw or not', () => {
    for (const raw of ['on', 'off']) {
      const image = path.join(directory, `external-${raw}.qcow2`);
      const options = `data_file=${path.join(directory, `data-${raw}.raw`)},data_file_raw=${raw}`;
      execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', options, image, '1M']);
      refused(readFileSync(image), 'NotSupported');
      // Also when the name of the file is gone and only the feature is left.
      refused(
        changed((bytes) => bytes.writeBigUInt64BE(4n, 72)),
        'NotSupported',
      );
    }
  });
});
