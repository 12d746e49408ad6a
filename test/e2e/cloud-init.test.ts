/** The metadata protocol beside a client that is not ours: cloud-init's data source of SmartOS (scripts/setup.sh brings it). */
import {execFile, spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {promisify} from 'node:util';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {MetadataServer} from '../../src/instances/metadata/server.ts';
import {MetadataStore} from '../../src/instances/metadata/store.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';

const root = path.join(import.meta.dirname, '../..');
const modules = path.join(root, 'node_modules/.cache/cloud-init/usr/lib/python3/dist-packages');
const guest = path.join(root, 'test/support/cloud-init-guest.py');
const python = '/usr/bin/python3';
const canRun =
  spawnSync(python, ['-c', 'from cloudinit.sources import DataSourceSmartOS'], {
    env: {...process.env, PYTHONPATH: modules},
  }).status === 0;

const fixed = {
  'sdc:uuid': 'aaaaaaaa-4444-4000-8000-000000000001',
  'sdc:hostname': 'guest',
  'sdc:operator-script': '#!/bin/sh\necho operator\n',
  'sdc:nics': '[]',
  'sdc:resolvers': '["192.0.2.1"]',
  'sdc:routes': '[]',
};
const large = '#cloud-config\n# ü\n'.concat('x'.repeat(200_000));
const given = {
  'user-script': '#!/bin/sh\necho user\n',
  root_authorized_keys: 'ssh-ed25519 AAAA me\n',
  'cloud-init:user-data': large,
};

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-cloud-init-'));
});
afterEach(() => removeTree(directory));

describe.runIf(canRun)('cloud-init', () => {
  test.each(['serial', 'socket'])('takes its metadata over a %s', {timeout: 60_000}, async (kind) => {
    const store = new MetadataStore(fixed, given);
    await using server = await MetadataServer.start({store, directory, ownerId: process.geteuid?.() ?? 0});
    const device = kind === 'serial' ? server.terminalPath : path.join(directory, 'metadata.sock');
    const {stdout} = await promisify(execFile)(python, [guest, modules, kind, device, directory], {
      maxBuffer: 4 << 20,
    });
    const told = JSON.parse(stdout);
    expect(told).toMatchObject({found: true, userdata: large});
    expect(told.metadata).toMatchObject({
      'instance-id': fixed['sdc:uuid'],
      'local-hostname': 'guest',
      'public-keys': 'ssh-ed25519 AAAA me',
      'user-script': given['user-script'],
      'operator-script': fixed['sdc:operator-script'],
      dns_servers: ['192.0.2.1'],
      'network-data': [],
      availability_zone: null,
    });
    expect(told.kept).toEqual(['running', [...Object.keys(given), 'prepare-image:state'].sort(), null]);
    expect(store.get('prepare-image:state')).toBeUndefined();
    const script = path.join(directory, 'cloud/instances', fixed['sdc:uuid'], 'data/operator-script');
    expect(readFileSync(script, 'utf8')).toBe(fixed['sdc:operator-script']);
  });
});
