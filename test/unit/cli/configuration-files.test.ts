/** Which file of the configuration counts (ux.md §9). */

import {chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {ConfigurationFiles} from '../../../src/cli/configuration-files.ts';
import type {Scope} from '../../../src/cli/paths.ts';
import {World} from '../../support/world.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-config-'));
});
afterEach(() => rmSync(directory, {recursive: true}));

const at = (name: string): string => path.join(directory, name);

function write(name: string, value: unknown): void {
  mkdirSync(path.dirname(at(name)), {recursive: true});
  writeFileSync(at(name), JSON.stringify(value));
}

function files(chosen?: string, scope: Scope = 'user'): ConfigurationFiles {
  return new ConfigurationFiles(chosen, {
    scope,
    configFile: at('user/config.json'),
    configFilesBelow: [at('vendor/config.json'), at('system/config.json')],
  });
}

const places = [
  'vendor/config.json',
  'vendor/config.d/10.json',
  'system/config.json',
  'system/config.d/10.json',
  'system/config.d/20.json',
  'user/config.json',
  'user/config.d/10.json',
];

test.each(places.map((place, index) => [place, index] as const))(
  '%s counts over those before it',
  async (place, index) => {
    for (const each of places.slice(0, index + 1)) write(each, {userAgentExtra: each, platform: 'a/1'});
    expect(await files().read()).toEqual({userAgentExtra: place, platform: 'a/1'});
  },
);

test('limits and pools come together from several files, lists are taken whole', async () => {
  write('system/config.json', {
    limits: {redirects: 1, cacheBytes: 1},
    sources: [{url: 'http://a'}, {url: 'http://b'}],
  });
  write('user/config.json', {limits: {redirects: 2}, sources: [{url: 'http://c'}]});
  expect(await files().read()).toEqual({
    limits: {redirects: 2, cacheBytes: 1},
    sources: [{url: 'http://c', type: 'imgapi'}],
  });
});

test('pools of the system are not those of a user', async () => {
  const pools = {big: {class: 'machine', directory: '/big'}};
  write('system/config.d/pools.json', {pools});
  expect(await files().read()).toEqual({});
  expect(await files(undefined, 'system').read()).toEqual({pools});
});

test('hidden files and others than .json are no drop-ins; a bad one is named', async () => {
  write('user/config.d/.10.json', {platform: 'a/1'});
  write('user/config.d/10.json.off', {platform: 'a/1'});
  expect(await files().read()).toEqual({});
  write('user/config.d/20.json', {platform: 1});
  await expect(files().read()).rejects.toMatchObject({
    code: 'ConfigError',
    message: `"platform" in config file "${at('user/config.d/20.json')}" is not a string`,
  });
});

test('a file that is named stands alone', async () => {
  for (const place of places) write(place, {platform: 'a/1'});
  write('other.json', {userAgentExtra: 'x'});
  expect(await files(at('other.json')).read()).toEqual({userAgentExtra: 'x'});
});

test('a change goes into the own file, upon what holds, and is refused where a drop-in hides it', async () => {
  write('system/config.json', {sources: [{url: 'http://a'}], platform: 'a/1'});
  write('user/config.json', {unknown: 1});
  const own = files();
  await own.change('sources', (current) => [...(current ?? []), {url: 'http://b', type: 'imgapi'}]);
  expect(JSON.parse(readFileSync(own.file, 'utf8'))).toEqual({
    unknown: 1,
    sources: [
      {url: 'http://a', type: 'imgapi'},
      {url: 'http://b', type: 'imgapi'},
    ],
  });
  expect((await own.read()).sources).toHaveLength(2);
  write('user/config.d/10.json', {sources: []});
  const before = readFileSync(own.file, 'utf8');
  await expect(files().change('sources', () => [])).rejects.toMatchObject({
    code: 'ConfigError',
    message: `"sources" is set in "${at('user/config.d/10.json')}", which counts over "${own.file}"`,
  });
  expect(readFileSync(own.file, 'utf8')).toBe(before);
});

test('flag, environment, drop-in, file, vendor: the programs read them in this order', async () => {
  const world = new World();
  const put = (name: string, url: string): void => {
    const file = path.join(world.root, name);
    mkdirSync(path.dirname(file), {recursive: true});
    writeFileSync(file, JSON.stringify({sources: [{url}]}));
  };
  const sources = (...args: string[]): string => world.run(['sources', ...args]).stdout.trim();
  try {
    expect(sources()).toBe('https://images.smartos.org');
    put('usr/lib/imgctl/config.json', 'http://127.0.0.1:1/vendor');
    expect(sources()).toBe('http://127.0.0.1:1/vendor');
    put('etc/imgctl/config.json', 'http://127.0.0.1:1/system');
    expect(sources()).toBe('http://127.0.0.1:1/system');
    put('etc/imgctl/config.d/50-site.json', 'http://127.0.0.1:1/site');
    expect(sources()).toBe('http://127.0.0.1:1/site');
    const refused = world.run(['sources', '-f', '-a', 'http://127.0.0.1:1/more']);
    expect([refused.status, refused.stderr]).toEqual([
      1,
      expect.stringContaining('50-site.json", which counts over'),
    ]);
    put('other.json', 'http://127.0.0.1:1/environment');
    world.env.IMGCTL_CONFIG = path.join(world.root, 'other.json');
    expect(sources()).toBe('http://127.0.0.1:1/environment');
    put('flag.json', 'http://127.0.0.1:1/flag');
    expect(sources('--config', path.join(world.root, 'flag.json'))).toBe('http://127.0.0.1:1/flag');
  } finally {
    await world.end();
  }
});

test('IMGCTL_SOURCE is asked in place of the configured sources, by URL or name; -S counts over it', async () => {
  const world = await new World().start();
  try {
    const {uuid} = world.publish(Buffer.from('one-off'), {name: 'there'});
    world.configure({
      sources: [
        {url: 'http://127.0.0.1:1', type: 'imgapi'},
        {url: world.url, type: 'imgapi', name: 'corp'},
      ],
    });
    const avail = (...args: string[]) =>
      world.run(['--retries', '0', ...args, 'avail', '-H', '-o', 'name,source']);
    expect(avail().status).toBe(1);
    world.env.IMGCTL_SOURCE = 'corp';
    expect(avail()).toMatchObject({status: 0, stdout: `there  ${world.url}\n`, stderr: ''});
    world.env.IMGCTL_SOURCE = world.url;
    expect(avail()).toMatchObject({status: 0, stdout: `there  ${world.url}\n`, stderr: ''});
    world.env.IMGCTL_SOURCE = 'http://127.0.0.1:1';
    expect(world.run(['--retries', '0', 'show', uuid]).status).toBe(1);
    expect(world.run(['import', '-q', '-S', world.url, uuid]).status).toBe(0);
    // What is configured is what is listed, and imgadm knows nothing of the variable.
    expect(world.run(['sources']).stdout).toBe(`http://127.0.0.1:1\n${world.url}\n`);
    expect(world.run(['show', uuid], 'imgadm').status).toBe(0);
  } finally {
    await world.end();
  }
});

test('a password file that others may read is warned about', async () => {
  const world = await new World().start();
  try {
    const file = path.join(world.directory, 'password');
    writeFileSync(file, 'secret\n');
    chmodSync(file, 0o644);
    world.configure({sources: [{url: world.url, type: 'imgapi', auth: {user: 'me', passwordFile: file}}]});
    const warning = `imgctl avail: warning: "${file}" can be read by other users: chmod 600 ${file}\n`;
    expect(world.run(['-q', 'avail'])).toMatchObject({status: 0, stderr: warning});
    chmodSync(file, 0o600);
    expect(world.run(['-q', 'avail'])).toMatchObject({status: 0, stderr: ''});
  } finally {
    await world.end();
  }
});
