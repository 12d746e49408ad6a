import {readFileSync} from 'node:fs';
import {describe, expect, it} from 'vitest';
import {ImgctlError} from '../../../src/errors.ts';
import {upgradeManifest} from '../../../src/manifest/upgrade.ts';
import {fixturePath} from '../../fixtures-dir.ts';

interface Upgrade {
  name: string;
  from: Record<string, unknown>;
  to?: Record<string, unknown>;
  message?: string;
}

const {upgrades}: {upgrades: Upgrade[]} = JSON.parse(
  readFileSync(fixturePath('spec', 'fixtures', 'manifest-cases.json'), 'utf8'),
);

function failureOf(action: () => unknown): ImgctlError {
  try {
    action();
  } catch (error) {
    if (error instanceof ImgctlError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const v1 = {
  uuid: '2f56d126-20d0-11e6-9e4b-5b0b0d0a1c01',
  creator_uuid: '9f3c1f0e-3d0a-4c55-9b4c-6f3f4d1a2b02',
  name: 'nodejs',
};

describe('upgradeManifest', () => {
  it('has the 29 upgrades of the fixtures to match', () => {
    expect(upgrades).toHaveLength(29);
  });

  it.each(upgrades.filter(({to}) => to))(
    'upgrades as the reference, keys in its order: $name',
    ({from, to}) => {
      const before = JSON.stringify(from);
      expect(JSON.stringify(upgradeManifest(from))).toBe(JSON.stringify(to));
      expect(JSON.stringify(from)).toBe(before);
    },
  );

  it.each(upgrades.filter(({to}) => !to))('refuses what the reference refuses: $name', ({from, message}) => {
    const error = failureOf(() => upgradeManifest(from));
    expect(error.code).toBe('InvalidManifest');
    if (message !== undefined) expect(error.message).toBe(message);
  });

  it.each([
    [{files: {}}, 'manifest.files is not an array'],
    [{files: [null]}, 'manifest.files[0] is not an object'],
    [{files: [{path: 5}]}, 'manifest.files[0] has no compression, path or url'],
    [{v: 'x'}, 'manifest has a "v" field that is not a number'],
    [{v: [2]}, 'manifest has a "v" field that is not a number'],
  ])('names what is wrong in %j', (change, message) => {
    expect(failureOf(() => upgradeManifest({...v1, ...change})).message).toBe(message);
  });

  it.each([[null], [5], ['x'], [[]]])('refuses %j, which is no object', (value) => {
    expect(failureOf(() => upgradeManifest(value)).code).toBe('InvalidManifest');
  });

  it.each([
    ['.gz', 'none'],
    ['dir.gz/image', 'none'],
    ['a.GZ', 'none'],
    ['https://host/a.zfs.gz', 'gzip'],
  ])('takes the compression of %s to be %s', (path, compression) => {
    expect(upgradeManifest({...v1, files: [{path}]}).files).toEqual([{compression}]);
  });

  it('keeps a foreign "__proto__" as data', () => {
    const upgraded = upgradeManifest(
      JSON.parse(JSON.stringify(v1).replace('{', '{"__proto__":{"polluted":1},')),
    );
    expect(Object.getPrototypeOf(upgraded)).toBe(Object.prototype);
    expect(Object.keys(upgraded)).toContain('__proto__');
  });
});
