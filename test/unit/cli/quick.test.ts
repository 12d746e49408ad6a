import {spawnSync} from 'node:child_process';
import {cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import path from 'node:path';
import type {Script} from 'node:vm';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {manifestFor, openTestCatalog, recordFor, uuidFor} from '../../support/catalogs.ts';

const repository = path.join(import.meta.dirname, '../../..');
const url = 'http://images.invalid';
let directory: string;
let root: string;
/** A copy of the program that can go the short way only. */
let shortOnly: string;

interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-quick-'));
  root = path.join(directory, 'root');
  shortOnly = path.join(directory, 'short');
  for (const name of [
    'package.json',
    'migrations',
    ...['start.cjs', 'quick.cjs', 'quick.cache'].map((file) => `dist/${file}`),
  ])
    cpSync(path.join(repository, name), path.join(shortOnly, name), {recursive: true});
  await makeWorld();
});
afterAll(() => rmSync(directory, {recursive: true}));

/** Two images with an instance, a child, an ignored one and an orphan; and what two sources offered. */
async function makeWorld(): Promise<void> {
  const state = path.join(root, 'var/lib/imgctl');
  const machines = path.join(root, 'var/lib/machines');
  const base = recordFor('base', {
    source: url,
    instances: [{name: 'web1', createdAt: '2026-02-01T00:00:00.000Z'}],
  });
  const child = recordFor('child', {manifest: manifestFor('child', {origin: uuidFor('base'), version: '2'})});
  const ignored = recordFor('ignored', {ignored: true});
  mkdirSync(path.join(state, 'records'), {recursive: true});
  for (const record of [base, child, ignored]) {
    writeFileSync(path.join(state, 'records', `${record.manifest.uuid}.json`), JSON.stringify(record));
    mkdirSync(path.join(machines, record.localName), {recursive: true});
  }
  for (const name of ['web1', 'by-hand']) mkdirSync(path.join(machines, name));
  const catalog = await openTestCatalog(state);
  for (const record of [base, child, ignored]) await catalog.images.put(record);
  const listing = {validator: '"v"', fetchedAt: '2026-01-01T00:00:00.000Z'};
  const offers = Array.from({length: 30}, (_, index) =>
    manifestFor(`offer-${index % 7}`, {
      uuid: uuidFor(`offer ${index}`),
      version: `${index}`,
      published_at: `2026-01-${String(1 + (index % 28)).padStart(2, '0')}T00:00:00.000Z`,
      os: index % 3 === 0 ? 'windows' : 'linux',
      description: 'ünïcode 木\u0007',
    }),
  );
  await catalog.offers.replace(`imgapi ${url}`, offers.slice(0, 20), listing);
  await catalog.offers.replace('imgapi http://other.invalid', offers.slice(10), listing);
  await catalog.close();
  mkdirSync(path.join(root, 'etc/imgctl'), {recursive: true});
  const sources = [{url}, {url: 'http://other.invalid', name: 'other', type: 'imgapi'}];
  writeFileSync(path.join(root, 'etc/imgctl/config.json'), JSON.stringify({sources}));
}

function start(
  file: readonly string[],
  program: string,
  line: readonly string[],
  more: Record<string, string> = {},
): Outcome {
  const env = {
    PATH: process.env.PATH,
    HOME: directory,
    LC_ALL: 'C.UTF-8',
    IMGCTL_ROOT: root,
    REQ_ID: 'r',
    ...more,
  };
  const {status, stdout, stderr} = spawnSync(process.execPath, [...file, program, ...line], {
    env,
    encoding: 'utf8',
  });
  return {status, stdout, stderr};
}

/** Loads the bundle of all commands, and calls it with the words behind. */
const runMain = `const [file, program, ...argv] = process.argv.slice(1);
require(file)('main').exports.runMain(program, argv).then((status) => { process.exitCode ||= status; });`;

const short = (program: string, line: readonly string[], more?: Record<string, string>): Outcome =>
  start([path.join(repository, 'dist/start.cjs')], program, line, more);
const long = (program: string, line: readonly string[], more?: Record<string, string>): Outcome =>
  start(['-e', runMain, path.join(repository, 'dist/start.cjs')], program, line, more);

const base = uuidFor('base');
const answered: string[][] = [
  ['--version'],
  ['list'],
  ['list', '-j'],
  ['list', '-H', '-o', 'uuid,name,clones,source', '-s', '-name'],
  ['list', '--all'],
  ['list', 'name=~a', 'version!=2'],
  ['list', '--docker'],
  ['list', '-o', 'help'],
  ['list', 'name=nothing'],
  ['get', base],
  ['get', '-r', 'base@1.0.0'],
  ['info', 'child'],
  ['sources'],
  ['sources', '-j'],
  ['sources', '-v'],
  ['--offline', 'avail'],
  ['avail', '--offline', '-j', 'os=windows'],
  ['--offline', 'available', 'os=linux', 'name=offer-1', '-s', '-published_at,name'],
  ['--offline', 'avail', '-Ho', 'name,description,source', '-s', 'version'],
];

describe('a command that only reads', () => {
  test.each(answered.map((line) => [line.join(' '), line] as const))(
    '"%s" says on the short way what it says on the long one',
    (_text, line) => {
      const outcome = start([path.join(shortOnly, 'dist/start.cjs')], 'imgctl', line);
      expect(outcome).toEqual(long('imgctl', line));
      expect(outcome.status).toBe(0);
    },
  );

  test('says it under the name imgadm too', () => {
    for (const line of [['list'], ['get', base], ['--version']]) {
      const outcome = start([path.join(shortOnly, 'dist/start.cjs')], 'imgadm', line);
      expect(outcome).toEqual(long('imgadm', line));
    }
  });
});

test.each([['list'], ['--offline', 'avail']])('--json means the same before %s as behind it', (...words) => {
  const before = start([path.join(repository, 'dist/start.cjs')], 'imgctl', ['--json', ...words]);
  const behind = start([path.join(repository, 'dist/start.cjs')], 'imgctl', [...words, '--json']);
  expect(before.stdout).toContain('"owner"');
  expect(before).toEqual(behind);
});

describe('what is no plain reading', () => {
  test.each([
    [['list', '--nope']],
    [['list', '-o', 'nmae']],
    [['list', 'os']],
    [['list', '--help']],
    [['list', '-s']],
    [['get', 'nothing']],
    [['get', uuidFor('nothing'), '-E']],
    [['get']],
    [['sources', '-a', 'ftp://x']],
    [['sources', '-a', 'x', '-c']],
    [['--offline', 'avail', '--timeout', 'x']],
    [['--engine', 'dbus', 'list']],
    [['--config', '/dev/null', 'list']],
    [['lst', 'list']],
    [['help', 'list']],
  ])('%j is refused or answered in the same words', (line) => {
    expect(hideTimes(short('imgctl', line))).toEqual(hideTimes(long('imgctl', line)));
  });

  test('a record that the catalog does not have yet gets its row', () => {
    const record = recordFor('late');
    const file = path.join(root, 'var/lib/imgctl/records', `${record.manifest.uuid}.json`);
    writeFileSync(file, JSON.stringify(record));
    mkdirSync(path.join(root, 'var/lib/machines', record.localName));
    expect(short('imgctl', ['list', '-H', '-o', 'name'])).toMatchObject({status: 0, stderr: ''});
    expect(
      start([path.join(shortOnly, 'dist/start.cjs')], 'imgctl', ['list', '-H', '-o', 'name', 'name=late']),
    ).toEqual({
      status: 0,
      stdout: 'late\n',
      stderr: '',
    });
    rmSync(file);
    rmSync(path.join(root, 'var/lib/machines', record.localName), {recursive: true});
    expect(short('imgctl', ['list', 'name=late'])).toMatchObject({status: 0, stdout: ''});
  });

  test('a catalog that is damaged or missing is told of, or made, as ever', () => {
    const other = path.join(directory, 'damaged');
    cpSync(root, other, {recursive: true});
    const file = path.join(other, 'var/lib/imgctl/catalog.db');
    writeFileSync(file, Buffer.alloc(8192, 1));
    const more = {IMGCTL_ROOT: other};
    const outcome = short('imgctl', ['list'], more);
    expect(outcome).toEqual(long('imgctl', ['list'], more));
    expect(outcome.stderr).toContain('is damaged');
    for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, {force: true});
    expect(short('imgctl', ['list'], more)).toMatchObject({status: 0, stderr: ''});
    expect(readFileSync(file).subarray(0, 13).toString()).toBe('SQLite format');
  });

  test('a log is written, if one is asked for', () => {
    const {stderr} = short('imgctl', ['list'], {IMGCTL_LOG_LEVEL: 'debug'});
    expect(stderr).toContain('"msg":"cli init"');
    expect(stderr).toContain('"msg":"cli exit"');
  });
});

describe('the file with what V8 made of the program', () => {
  test('is what this Node takes', () => {
    const load = createRequire(import.meta.url)(path.join(repository, 'dist/start.cjs')) as (
      name: string,
    ) => {
      script: Script;
    };
    for (const name of ['quick', 'main']) expect(load(name).script.cachedDataRejected).toBe(false);
  });

  test('may be missing, damaged or of another Node', () => {
    const other = path.join(directory, 'other');
    const file = path.join(other, 'dist/start.cjs');
    cpSync(shortOnly, other, {recursive: true});
    const expected = start([path.join(shortOnly, 'dist/start.cjs')], 'imgctl', ['list']);
    const cache = path.join(other, 'dist/quick.cache');
    const bytes = readFileSync(cache);
    bytes[5] = (bytes[5] ?? 0) ^ 0xff;
    writeFileSync(cache, bytes);
    expect(start([file], 'imgctl', ['list'])).toEqual(expected);
    writeFileSync(cache, '');
    expect(start([file], 'imgctl', ['list'])).toEqual(expected);
    rmSync(cache);
    expect(start([file], 'imgctl', ['list'])).toEqual(expected);
  });
});

function hideTimes(outcome: Outcome): Outcome {
  const stderr = outcome.stderr
    .replace(/"time":"[^"]*"/g, '"time":"T"')
    .replace(/"pid":\d+/g, '"pid":0')
    .replace(/"stack":"[^"]*"/g, '"stack":"S"');
  return {...outcome, stderr};
}
