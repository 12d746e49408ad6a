import {readFileSync} from 'node:fs';
import {describe, expect, it} from 'vitest';
import type {ImageManifest} from '../../../src/manifest/manifest.ts';
import {orderForWire} from '../../../src/manifest/server-answer.ts';
import {fixturePath} from '../../fixtures-dir.ts';

const full: ImageManifest = {
  ...{
    channels: ['dev'],
    error: {code: 'X'},
    traits: {a: 'b'},
    billing_tags: ['t'],
    tags: {a: 1},
    activated: true,
  },
  ...{
    image_size: 5,
    cpu_type: 'c',
    disk_driver: 'd',
    nic_driver: 'n',
    origin: 'o',
    inherited_directories: ['/x'],
  },
  ...{generate_passwords: true, users: [{name: 'u'}], requirements: {brand: 'b'}, urn: 'u', icon: true},
  ...{eula: 'http://e', homepage: 'http://h', description: 'd', acl: ['a'], published_at: 'p', public: true},
  ...{
    disabled: false,
    state: 'failed',
    version: '1',
    name: 'n',
    owner: 'o',
    uuid: 'u',
    os: 'linux',
    type: 'zvol',
    v: 2,
  },
  files: [{stor: 'local', dataset_guid: '1', compression: 'gzip', size: 1, sha1: 'x', extra: 1}],
};

describe('orderForWire', () => {
  it('answers in the order of the page, without server-internal fields', () => {
    expect(Object.keys(orderForWire(full, {mode: 'dc', apiVersion: 2}))).toEqual([
      ...[
        'v',
        'uuid',
        'owner',
        'name',
        'version',
        'state',
        'disabled',
        'public',
        'published_at',
        'type',
        'os',
        'files',
      ],
      ...[
        'acl',
        'description',
        'homepage',
        'eula',
        'icon',
        'urn',
        'requirements',
        'users',
        'generate_passwords',
      ],
      ...['inherited_directories', 'origin', 'nic_driver', 'disk_driver', 'cpu_type', 'image_size', 'tags'],
      ...['billing_tags', 'traits', 'error', 'channels'],
    ]);
  });

  it('hides billing tags and traits in public mode, and channels from older clients', () => {
    const keys = Object.keys(orderForWire(full, {mode: 'public', apiVersion: 1}));
    expect(keys).not.toEqual(expect.arrayContaining(['billing_tags']));
    expect(keys.slice(-2)).toEqual(['tags', 'error']);
  });

  it('rewrites files with the known keys, where they are stored only for operators', () => {
    const keysOf = (withAdminFields: boolean) =>
      Object.keys(orderForWire(full, {mode: 'dc', apiVersion: 2, withAdminFields}).files?.[0] ?? {});
    expect(keysOf(false)).toEqual(['sha1', 'size', 'compression', 'dataset_guid']);
    expect(keysOf(true)).toEqual(['sha1', 'size', 'compression', 'dataset_guid', 'stor']);
  });

  it('leaves out what is empty, and always has files', () => {
    const bare = {v: 2, uuid: 'u', name: 'n', version: '1', state: 'creating', type: 'null', os: 'null'};
    const empties = {
      acl: [],
      tags: {},
      description: '',
      icon: false,
      channels: [],
      published_at: null,
      error: {},
    };
    const answer = orderForWire({...bare, ...empties} as unknown as ImageManifest, {
      mode: 'dc',
      apiVersion: 2,
    });
    expect(answer).toEqual({v: 2, uuid: 'u', name: 'n', version: '1', state: 'creating', files: []});
  });
});

interface Recording {
  exchanges: {response?: {status: number; body: {data: string}}}[];
}

const recorded = [
  'update-active',
  'dc-mode',
  'acl-private-mode',
  'channels',
  'client-cli',
  'origin-incremental',
];

describe('a recorded server', () => {
  it.each(recorded)('orders its manifests as orderForWire does: %s', (name) => {
    const {exchanges}: Recording = JSON.parse(
      readFileSync(fixturePath('fixtures', 'imgapi-recorded', `${name}.json`), 'utf8'),
    );
    const manifests = exchanges
      .flatMap(({response}) => (response?.status === 200 ? tryParse(response.body.data) : undefined))
      .filter((answer): answer is ImageManifest => typeof answer?.v === 'number');
    expect(manifests.length).toBeGreaterThan(5);
    for (const manifest of manifests) {
      const shuffled = Object.fromEntries(Object.entries(manifest).reverse()) as ImageManifest;
      const answer = orderForWire(shuffled, {mode: 'dc', apiVersion: 2, withAdminFields: true});
      expect(JSON.stringify(answer)).toBe(JSON.stringify(manifest));
    }
  });
});

function tryParse(text: string): ImageManifest | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
