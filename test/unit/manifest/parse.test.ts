import {describe, expect, it} from 'vitest';
import type {ImageManifest} from '../../../src/manifest/manifest.ts';
import {checkManifest, formatProblems, maxManifestBytes, parseManifest} from '../../../src/manifest/parse.ts';

const minimal = {
  v: 2,
  uuid: '2f56d126-20d0-11e6-9e4b-5b0b0d0a1c01',
  name: 'base',
  version: '1.0.0',
  type: 'zone-dataset',
  os: 'smartos',
};

describe('parseManifest', () => {
  it('reads text and bytes, with or without a byte order mark', () => {
    const text = JSON.stringify(minimal);
    expect(parseManifest(text, 'm')).toEqual(minimal);
    expect(parseManifest(Buffer.from(`\uFEFF${text}`), 'm')).toEqual(minimal);
  });

  it('upgrades version 1', () => {
    const {v, ...old} = minimal;
    const text = JSON.stringify({...old, creator_uuid: minimal.uuid});
    expect(parseManifest(text, 'm')).toMatchObject({v: 2, owner: minimal.uuid, state: 'active'});
  });

  it.each([
    ['{"v": 2', /^manifest is invalid: "m": Expected/],
    ['', /^manifest is invalid: "m": Unexpected end/],
    ['[]', /^manifest is invalid: "m": not a JSON object$/],
    ['null', /^manifest is invalid: "m": not a JSON object$/],
    [Buffer.from([0x7b, 0xff, 0x7d]), /^manifest is invalid: "m": not UTF-8 text$/],
    [
      `{"v":2,"tags":${'['.repeat(1000)}${']'.repeat(1000)}}`,
      /^manifest is invalid: "m": nested too deeply$/,
    ],
    ['{}', /^manifest does not have a "v" field$/],
  ])('refuses %j', (text, message) => {
    expect(() => parseManifest(text, 'm')).toThrow(
      expect.objectContaining({code: 'InvalidManifest', message: expect.stringMatching(message)}),
    );
  });

  it('reads up to the limit and not a byte more', () => {
    const padded = (size: number) => JSON.stringify(minimal).padEnd(size, ' ');
    expect(parseManifest(padded(maxManifestBytes), 'm')).toEqual(minimal);
    expect(() => parseManifest(padded(maxManifestBytes + 1), 'm')).toThrow(
      expect.objectContaining({
        code: 'LimitExceeded',
        message: 'manifest "m" is too large: 1048577 bytes, at most 1048576 are read',
      }),
    );
  });
});

describe('checkManifest', () => {
  it('lets a valid manifest pass', () => {
    expect(() => checkManifest(minimal, 'minimal')).not.toThrow();
  });

  it('names every problem in one line', () => {
    const {os, ...rest} = {...minimal, uuid: 'X', type: 'vmdk'};
    expect(() => checkManifest(rest as unknown as ImageManifest, 'minimal')).toThrow(
      expect.objectContaining({
        code: 'ManifestValidation',
        message:
          'invalid manifest: uuid, type (invalid image type, "vmdk", must be one of: zone-dataset, zvol, ' +
          'lx-dataset, lxd, docker, other), os (MissingParameter)',
      }),
    );
  });
});

describe('formatProblems', () => {
  it('shows the message, else the code unless it is Invalid', () => {
    expect(
      formatProblems([
        {field: 'name', code: 'Invalid', message: 'TEXT'},
        {field: 'os', code: 'MissingParameter'},
        {field: 'uuid', code: 'Invalid'},
      ]),
    ).toBe('name (TEXT), os (MissingParameter), uuid');
  });
});
