/** Moving from a SmartOS host: what its imgadm left on disk, read by the built programs (spec/imgadm.md §12). */

import {spawnSync} from 'node:child_process';
import {mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {type FakeImage, type FakeServer, fakeManifest, startFakeServer} from '../support/fake-images.ts';
import {type Outcome, World} from '../support/world.ts';

const base: FakeImage = {uuid: '11111111-1111-4111-8111-111111111111', name: 'base'};
const webapp: FakeImage = {uuid: '22222222-2222-4222-8222-222222222222', name: 'webapp', origin: base.uuid};
const gone: FakeImage = {uuid: '33333333-3333-4333-8333-333333333333', name: 'gone'};
const third: FakeImage = {uuid: '44444444-4444-4444-8444-444444444444', name: 'third'};

let world: World;
let server: FakeServer;
beforeEach(async () => {
  world = new World();
  server = await startFakeServer([base, webapp]);
});
afterEach(async () => {
  await server.close();
  await world.end();
});

function put(name: string, content: unknown): string {
  const file = path.join(world.directory, 'old', name);
  mkdirSync(path.dirname(file), {recursive: true});
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

function putRecord(image: FakeImage, zpool = 'zones', more: object = {}): string {
  const record = {manifest: fakeManifest(image), zpool, source: `${server.url}/`, ...more};
  return put(`images/${zpool}-${image.uuid}.json`, record);
}

const migrate = (...args: string[]): Promise<Outcome> =>
  world.runWhile(['migrate-imgadm', ...args], async () => undefined);

function configured(): unknown {
  const file = path.join(world.root, 'etc/imgctl/config.json');
  return JSON.parse(readFileSync(file, 'utf8')).sources;
}

const smartos = 'https://images.smartos.org';

test('sources become ours where none were configured, and images are named with the command to type', async () => {
  const sources = [
    {url: smartos, type: 'imgapi'},
    {url: `${server.url}/`, type: 'imgapi', insecure: true, channel: 'dev'},
    {url: 'https://docker.io', type: 'docker'},
    {url: 'http://old/datasets'},
  ];
  put('imgadm.conf', {sources, upgradedToVer: '3.0.0', userAgentExtra: 'x'});
  putRecord(base);
  putRecord(webapp, 'portable');
  const outcome = await migrate('old');
  expect([outcome.stdout, outcome.stderr, outcome.status]).toEqual([
    `\
Already have "imgapi" image source "${smartos}", no change
Added "imgapi" image source "${server.url}/" (insecure) (channel=dev)
Added "dsapi" image source "http://old/datasets"
Image ${base.uuid} (base@1.0.0) must be imported again: imgctl import ${base.uuid}
Image ${webapp.uuid} (webapp@1.0.0) must be imported again: imgctl import -P portable ${webapp.uuid}
`,
    'imgctl migrate-imgadm: warning: source "https://docker.io" is left out: docker is not supported: image source "https://docker.io"\n',
    0,
  ]);
  expect(configured()).toEqual([sources[0], sources[1], {url: 'http://old/datasets', type: 'dsapi'}]);
  expect(server.requests).toEqual([]);
  const again = await migrate('old');
  expect(again.stdout).toContain(`Already have "dsapi" image source "http://old/datasets", no change\n`);
});

test('what is configured here stays, and what it lacks comes behind', async () => {
  world.useSources(['http://own']);
  put('imgadm.conf', {
    sources: [
      {url: 'http://own:80/', type: 'imgapi'},
      {url: smartos, type: 'imgapi'},
    ],
  });
  expect((await migrate('old')).status).toBe(0);
  expect(configured()).toEqual([
    {url: 'http://own', type: 'imgapi'},
    {url: smartos, type: 'imgapi'},
  ]);
});

test('an empty list of sources is a list, too', async () => {
  put('var/imgadm/imgadm.conf', {sources: []});
  const outcome = await migrate('old');
  expect(outcome.stdout).toBe(`Deleted "imgapi" image source "${smartos}"\n`);
  expect(configured()).toEqual([]);
});

test('a dry run says what would be done, and changes nothing', async () => {
  put('imgadm.conf', {sources: [{url: server.url, type: 'imgapi'}]});
  putRecord(base);
  const outcome = await migrate('-n', '--import', 'old');
  expect([outcome.status, outcome.stdout.split('\n').slice(0, -1)]).toEqual([
    0,
    [
      `[dry-run] Deleted "imgapi" image source "${smartos}"`,
      `[dry-run] Added "imgapi" image source "${server.url}"`,
      expect.stringMatching(/^\[dry-run\] Image 1{8}.* must be imported again/),
    ],
  ]);
  expect(world.machines()).toEqual([]);
  expect(() => configured()).toThrow('ENOENT');
});

test('--import --fail-fast stops at the first image that cannot be imported', async () => {
  put('imgadm.conf', {sources: [{url: server.url, type: 'imgapi'}]});
  for (const image of [{...gone, uuid: gone.uuid.replace(/^3/, '0')}, base]) putRecord(image);
  const outcome = await migrate('-j', '--import', '--fail-fast', 'old');
  const {images} = JSON.parse(outcome.stdout);
  expect(images.map(({state}: {state: string}) => state)).toEqual(['failed', 'pending']);
  expect([outcome.status, world.machines()]).toEqual([4, []]);
});

test('--import imports what can be, tells what cannot, and may be run again', async () => {
  put('imgadm.conf', {sources: [{url: server.url, type: 'imgapi'}]});
  for (const image of [base, webapp, gone]) putRecord(image);
  putRecord({...third, more: {type: 'docker'}});
  const outcome = await migrate('--import', 'old');
  expect([outcome.status, world.machines()]).toEqual([4, [`${base.uuid}.raw`, `${webapp.uuid}.raw`]]);
  expect(outcome.stderr).toBe(`\
webapp@1.0.0: nothing was downloaded, 18.0 B were in the cache
imgctl migrate-imgadm: warning: image ${gone.uuid} (gone@1.0.0) cannot be imported: an active image "${gone.uuid}" was not found in image sources
imgctl migrate-imgadm: warning: image ${third.uuid} (third@1.0.0) cannot be imported: docker is not supported: image "${third.uuid}"
2 of 4 images failed
`);
  server.images.push(gone, third);
  const again = JSON.parse((await migrate('-j', '--import', 'old')).stdout);
  expect(again.images.map(({name, state}: {name: string; state: string}) => [name, state])).toEqual([
    ['base', 'installed'],
    ['webapp', 'installed'],
    ['gone', 'installed'],
    ['third', 'failed'],
  ]);
});

test('an image is taken from the source it came from, before all others', async () => {
  const other = await startFakeServer([{...base, bytes: Buffer.from('quite another disk')}]);
  put('imgadm.conf', {sources: [{url: other.url}, {url: server.url}]});
  putRecord(base);
  const outcome = await migrate('--import', 'old');
  await other.close();
  expect([outcome.status, other.requests]).toEqual([0, []]);
});

test('data of the first version is read, its sources as dataset API', async () => {
  const old = {
    ...fakeManifest(base),
    v: undefined,
    state: undefined,
    creator_uuid: '352971aa-31ba-496c-9ade-a379feaecd52',
  };
  put(`var/db/imgadm/${base.uuid}.json`, old);
  put('var/db/imgadm/sources.list', '# ours\n\nhttp://old/datasets # no comment\n');
  const outcome = await migrate('old');
  expect(outcome.stdout).toBe(`\
Deleted "imgapi" image source "${smartos}"
Added "dsapi" image source "http://old/datasets"
Image ${base.uuid} (base@1.0.0) must be imported again: imgctl import ${base.uuid}
`);
});

test('the old default source is dropped, and a list that was upgraded is not read again', async () => {
  put('sources.list', 'https://datasets.joyent.com/datasets/\n');
  expect((await migrate('old')).stdout).toBe('');
  put('sources.list', 'http://old/datasets\n');
  put('imgadm.conf', {upgradedToVer: '3.0.0'});
  expect((await migrate('old')).stdout).toBe('');
});

test('what is broken or hostile is left out with a warning, and the rest is read', async () => {
  put('imgadm.conf', {sources: [7, {url: 7}, {url: 'ftp://h'}, {url: 'http://good'}]});
  putRecord(base);
  put(`images/zones-${webapp.uuid}.json`, '{');
  put(`images/zones-${gone.uuid}.json`, {manifest: fakeManifest(base)});
  truncateSync(put(`images/zones-${third.uuid}.json`, ''), 1e9);
  symlinkSync('/etc/passwd', put('images/x', '').replace(/x$/, `zones-${third.uuid.replace('4', '5')}.json`));
  spawnSync('mkfifo', [path.join(world.directory, `old/images/zones-${third.uuid.replace('4', '6')}.json`)]);
  const outcome = await migrate('old');
  expect(outcome.status).toBe(0);
  const reasons = outcome.stderr.trimEnd().split('\n');
  for (const [index, reason] of [
    'source "ftp://h" is left out: source URL "ftp://h" is not an http or https URL',
    'a source without a usable URL is left out: 7',
    'a source without a usable URL is left out: {"url":7}',
    `${webapp.uuid}.json" is not valid JSON`,
    `it is the record of image "${base.uuid}"`,
    'is larger than 2097152 bytes',
    'ELOOP',
    'is no regular file',
  ].entries())
    expect(reasons[index]).toContain(reason);
  expect(reasons).toHaveLength(8);
  expect(outcome.stdout).toContain(`Image ${base.uuid} (base@1.0.0) must be imported again`);
});

test.each([
  ['{', 'error (ConfigError): "old/imgadm.conf" is not valid JSON'],
  [
    '{"sources": 7}',
    'error (ConfigError): "sources" in config file "old/imgadm.conf" is not a list of sources',
  ],
])('a configuration that is %s ends it, and nothing is written', async (text, message) => {
  put('imgadm.conf', text);
  const outcome = await migrate('old');
  expect([outcome.status, outcome.stdout]).toEqual([1, '']);
  expect(outcome.stderr).toContain(message);
  expect(() => configured()).toThrow('ENOENT');
});

test.each(['nothing', '.'])('a directory without state of imgadm is refused: %s', async (directory) => {
  const outcome = await migrate(directory);
  expect([outcome.status, outcome.stderr.split('\n')[0]]).toEqual([
    1,
    `imgctl migrate-imgadm: error (InvalidArgument): "${directory}" holds no state of imgadm`,
  ]);
});
