import {describe, expect, test} from 'vitest';
import {stripSuffixes} from '../../../src/import1/local-name.ts';
import {isPullUrl, lastUrlComponent, siblingUrl} from '../../../src/import1/pull-url.ts';

describe('the URL of a pull', () => {
  test.each(['http://h', 'https://h/x', 'file:/x', 'file:///x', 'http://not a host'])('%j is one', (url) => {
    expect(isPullUrl(url)).toBe(true);
  });

  test.each([
    '',
    'http://',
    'HTTP://h',
    'https:/h',
    'ftp://h/x',
    'file:',
    'file:x',
    'http://h/ü',
    'http://h/\0',
  ])('%j is none', (url) => {
    expect(isPullUrl(url)).toBe(false);
  });

  test.each([
    ['http://host/dir/disk.raw.xz', 'disk.raw.xz'],
    ['http://host/disk.raw?x=/a#b', 'disk.raw'],
    ['http://host/dir///', 'dir'],
    ['http://host:80/a%2fb', 'a%2fb'],
    ['file:///tmp/x.raw', 'x.raw'],
  ])('the last component of %j is %j', (url, component) => {
    expect(lastUrlComponent(url)).toBe(component);
  });

  test.each(['http://host', 'http://host/', 'http://host?q/x', 'http://', ':x'])('%j has none', (url) => {
    expect(() => lastUrlComponent(url)).toThrow(expect.objectContaining({code: 'InvalidArgument'}));
  });

  test('files beside it have its path, without query and fragment', () => {
    expect(siblingUrl('http://host/dir/disk.raw.xz?x=1#y', 'disk.nspawn')).toBe(
      'http://host/dir/disk.nspawn',
    );
    expect(siblingUrl('http://host/disk/', 'SHA256SUMS')).toBe('http://host/SHA256SUMS');
    expect(siblingUrl('file:///tmp/x.raw', 'x.verity')).toBe('file:///tmp/x.verity');
  });
});

describe('the local name of a file', () => {
  test.each([
    ['a.tar', 'a'],
    ['a.tar.zst', 'a'],
    ['a.tgz', 'a'],
    ['a.tar.tar', 'a.tar'],
    ['a.txz', 'a.txz'],
    ['a.raw', 'a.raw'],
    ['.tar', ''],
  ])('of an archive loses one suffix: %j becomes %j', (name, stripped) => {
    expect(stripSuffixes(name, 'tar')).toBe(stripped);
  });

  test.each([
    ['a.raw.img.xz', 'a'],
    ['a.sysext.raw.zst', 'a'],
    ['a.confext.raw', 'a'],
    ['a.sysext', 'a.sysext'],
    ['disk.qcow2', 'disk'],
    ['a.tar.xz', 'a.tar'],
    ['a.bin.gz.bz2', 'a'],
    ['.raw', ''],
  ])('of a disk image loses all: %j becomes %j', (name, stripped) => {
    expect(stripSuffixes(name, 'raw')).toBe(stripped);
  });
});
