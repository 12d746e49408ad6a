/** A pool of type zfs where the dataset, or zfs itself, is missing; with both it is tried by `npm run test:zfs-guest`. */
import {copyFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {fixturePath} from '../fixtures-dir.ts';
import {World} from '../support/world.ts';

const uuid = '11111111-1111-4111-8111-111111111111';
const noPool = /the program "zfs", which is not installed|nosuchpool|zfs|permission denied/i;
let world: World;

beforeEach(() => {
  world = new World();
  world.configure({pools: {tank: {type: 'zfs', dataset: 'nosuchpool/images'}}});
});
afterEach(() => world.end());

test('an install into it fails by name and leaves nothing, and the other pools work', () => {
  const manifest = {v: 2, uuid, name: 'image', version: '1', type: 'zvol', os: 'smartos'};
  writeFileSync(path.join(world.directory, 'manifest'), JSON.stringify(manifest));
  copyFileSync(fixturePath('fixtures', 'zfs', 'zvol-16K-c.zfs.gz'), path.join(world.directory, 'file'));
  const arguments_ = ['-m', 'manifest', '-f', 'file'];
  const refused = world.run(['install', '-P', 'tank', ...arguments_]);
  expect([refused.status, refused.stderr]).toEqual([1, expect.stringMatching(noPool)]);
  expect([world.records(), world.machines()]).toEqual([[], []]);
  expect(world.run(['install', '-q', ...arguments_])).toMatchObject({status: 0, stderr: ''});
  expect(world.installed()).toEqual([uuid]);
  expect(world.run(['delete', uuid]).status).toBe(0);
});

test('doctor tells that it is a problem', () => {
  const {status, stdout} = world.run(['doctor']);
  expect(status).toBe(6);
  expect(stdout.split('\n').find((line) => line.startsWith('problem'))).toMatch(/^problem\s+pool tank\s+\S/);
});

test.each([
  [{type: 'zfs'}, 'dataset'],
  [{type: 'zfs', dataset: '-rf/x'}, 'pattern'],
  [{type: 'zfs', dataset: 'tank', directory: '/tank'}, 'false'],
  [{type: 'zfs', dataset: 'tank', class: 'sysext'}, 'constant'],
  [{class: 'machine', directory: '/x', dataset: 'tank'}, 'false'],
  [{class: 'machine'}, 'directory'],
])('a configuration with %j is refused', (pool, word) => {
  world.configure({pools: {tank: pool}});
  const {status, stderr} = world.run(['list']);
  expect([status, stderr]).toEqual([1, expect.stringMatching(`ConfigError.*${word}`)]);
});
