import {execFileSync} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {gunzipSync} from 'node:zlib';
import {describe, expect, test} from 'vitest';
import {sniffBytes, sniffCompression, sniffPayload} from '../../../src/formats/sniff.ts';

const streams = path.join(import.meta.dirname, '../../fixtures/fixtures/zfs');

describe('sniffPayload', () => {
  test('tells tar of every format', () => {
    for (const format of ['v7', 'oldgnu', 'gnu', 'ustar', 'posix']) {
      const archive = execFileSync('tar', [`--format=${format}`, '-C', import.meta.dirname, '-c', '.']);
      expect(sniffPayload(archive.subarray(0, sniffBytes)), format).toBe('tar');
    }
  });

  test('tells ZFS send streams in both byte orders', () => {
    const names = readdirSync(streams).filter((name) => name.endsWith('.zfs.gz'));
    for (const name of names) {
      const head = gunzipSync(readFileSync(path.join(streams, name))).subarray(0, sniffBytes);
      expect(sniffPayload(head), name).toBe('zfs');
      expect(sniffPayload(Buffer.from(head.subarray(0, 16)).swap64().subarray(0, 16)), name).toBe('zfs');
    }
    expect(names.length).toBeGreaterThan(5);
  });

  test('anything else is raw, also what is short, empty or zero', () => {
    for (const bytes of [Buffer.alloc(0), Buffer.from('x'), Buffer.alloc(512), Buffer.alloc(512, 0xff)]) {
      expect(sniffPayload(bytes)).toBe('raw');
    }
    expect(sniffPayload(Buffer.from('514649fb00000003', 'hex'))).toBe('qcow2');
    expect(sniffPayload(Buffer.from('hsqs\x01\x00'))).toBe('squashfs');
  });
});

test('input under six bytes is never compressed', () => {
  expect(sniffCompression(Buffer.from('1f8b08', 'hex'))).toBe('none');
  expect(sniffCompression(Buffer.from('1f8b08000000', 'hex'))).toBe('gzip');
});
