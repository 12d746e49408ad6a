import {expect, test} from 'vitest';
import {guestExpectation} from '../../../src/manifest/guest.ts';

const runs = (type: string, os: string) =>
  guestExpectation({v: 2, uuid: 'u', name: 'n', version: 'v', type, os})?.runs;

test('what is for illumos does not run, what is for Linux runs as a container, disks run as machines', () => {
  expect(runs('zone-dataset', 'smartos')).toBe('no');
  expect(runs('lx-dataset', 'linux')).toBe('container');
  expect(runs('zone-dataset', 'linux')).toBe('container');
  expect(runs('docker', 'linux')).toBe('container');
  expect(runs('zvol', 'windows')).toBe('machine');
});

test('of other types nothing is said, whatever they are called', () => {
  expect(runs('other', 'linux')).toBeUndefined();
  expect(runs('constructor', 'linux')).toBeUndefined();
});
