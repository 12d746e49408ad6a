/**
 * Programs that drive imgadm (spec/imgadm.md §13), against ours. Ansible's own modules run unchanged, by a playbook;
 * of Salt's module it is checked what it takes from the output: words of lines, keys of JSON, statuses.
 */

import {spawn, spawnSync} from 'node:child_process';
import {mkdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {text} from 'node:stream/consumers';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {World} from '../support/world.ts';

const world = new World();
let base: string;
let child: string;
let loner: string;
const nobody = '99999999-9999-4999-8999-999999999999';

beforeAll(async () => {
  await world.start();
  const tree = path.join(world.directory, 'tree');
  mkdirSync(path.join(tree, 'etc'), {recursive: true});
  const {stdout: bytes} = spawnSync('tar', ['-C', tree, '-c', '.']);
  base = world.publish(bytes, {name: 'base', version: '1.0.0'}).uuid;
  child = world.publish(bytes, {name: 'child', version: '2.0.0', origin: base}).uuid;
  loner = world.publish(bytes, {name: 'loner', version: '3.0.0'}).uuid;
});
afterAll(() => world.end());

interface Task {
  name: string;
  module: 'imgadm' | 'smartos_image_info';
  arguments: Record<string, unknown>;
}

interface Outcome {
  changed?: boolean;
  failed?: boolean;
  msg?: string;
  smartos_images?: Record<string, Record<string, unknown>>;
}

/** Runs all tasks in one playbook; a failed one does not end it. */
async function play(tasks: readonly Task[]): Promise<Outcome[]> {
  const file = path.join(world.directory, 'playbook.json');
  const steps = tasks.map((task) => {
    return {name: task.name, [`community.general.${task.module}`]: task.arguments, ignore_errors: true};
  });
  writeFileSync(file, JSON.stringify([{hosts: 'localhost', gather_facts: false, tasks: steps}]));
  const ansible = spawn('ansible-playbook', ['-c', 'local', '-i', 'localhost,', file], {
    env: {
      ...world.env,
      ANSIBLE_STDOUT_CALLBACK: 'ansible.posix.json',
      ANSIBLE_LOCAL_TEMP: world.directory,
      ANSIBLE_REMOTE_TEMP: world.directory,
      ANSIBLE_LOCALHOST_WARNING: 'False',
    },
    cwd: world.directory,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [output, complaints] = await Promise.all([text(ansible.stdout), text(ansible.stderr)]);
  const start = output.indexOf('{');
  if (start < 0) throw new Error(`ansible-playbook: ${output}${complaints}`);
  const {plays} = JSON.parse(output.slice(start)) as {
    plays: {tasks: {hosts: Record<string, Outcome>}[]}[];
  };
  return plays.flatMap((one) => one.tasks.map(({hosts}) => hosts.localhost!));
}

describe('Ansible', () => {
  test('tells changed from unchanged, and shows our errors', {timeout: 300_000}, async () => {
    const spare = 'http://127.0.0.1:1/';
    const image = (name: string, uuid: string, state: string): Task => {
      return {name, module: 'imgadm', arguments: {uuid, state}};
    };
    const source = (name: string, state: string, more: object = {}): Task => {
      return {name, module: 'imgadm', arguments: {source: spare, state, ...more}};
    };
    const expected: [task: Task, outcome: Outcome][] = [
      [source('a source that does not answer', 'present'), {failed: true}],
      [source('the same by force', 'present', {force: true}), {changed: true}],
      [source('once more', 'present', {force: true}), {changed: false}],
      [source('gone', 'absent'), {changed: true}],
      [source('gone already', 'absent'), {changed: false}],
      [source('of a type that is not supported', 'present', {type: 'docker'}), {failed: true}],
      [image('an image and its origin', child, 'imported'), {changed: true}],
      [image('the same again', child, 'imported'), {changed: false}],
      [image('a third', loner, 'present'), {changed: true}],
      [image('one that nobody has', nobody, 'imported'), {failed: true, msg: 'Failed to import image: '}],
      [{name: 'all', module: 'smartos_image_info', arguments: {}}, {changed: false}],
      [{name: 'some', module: 'smartos_image_info', arguments: {filters: 'name=base'}}, {changed: false}],
      [image('one that is in use', base, 'deleted'), {changed: false}],
      [image('one that is not', loner, 'deleted'), {changed: true}],
      [image('one that is gone', loner, 'absent'), {changed: false}],
      [image('manifests', '*', 'updated'), {changed: true}],
      [image('a manifest of nobody', nobody, 'updated'), {failed: true, msg: 'Failed to update images: '}],
      [image('what is unused', '*', 'vacuumed'), {changed: true}],
      [image('nothing left', '*', 'vacuumed'), {changed: false}],
    ];
    const outcomes = await play(expected.map(([task]) => task));
    const seen = outcomes.map(({changed, failed, msg}, index) => {
      const [task, wanted] = expected[index]!;
      return [
        task.name,
        failed ? {failed} : {changed},
        wanted.msg === undefined || msg?.startsWith(wanted.msg),
      ];
    });
    expect(seen).toEqual(
      expected.map(([{name}, {failed, changed}]) => [name, failed ? {failed} : {changed}, true]),
    );
    const found = outcomes.filter(({smartos_images}) => smartos_images !== undefined);
    expect(found.map(({smartos_images = {}}) => Object.keys(smartos_images).sort())).toEqual([
      [base, child, loner].sort(),
      [base],
    ]);
    expect(found[1]?.smartos_images?.[base]).toMatchObject({
      name: 'base',
      clones: 1,
      zpool: 'zones',
      source: world.url,
    });
    expect(world.installed()).toEqual([]);
  });
});

describe('Salt', () => {
  function imgadm(...args: string[]): {lines: string[]; status: number | null; json: () => unknown} {
    const {stdout, status} = world.run(args, 'imgadm');
    const lines = stdout.split('\n').filter((line) => line !== '');
    return {lines, status, json: () => JSON.parse(stdout)};
  }

  test('reads the version off the last word', () => {
    const [line = ''] = imgadm('--version').lines;
    expect(line.split(' ').at(-1)).toMatch(/^\d+\.\d+\.\d+$/);
  });

  test('reads lists, manifests and sources', () => {
    expect(imgadm('import', '-q', child).lines.at(-1)).toMatch(new RegExp(`^Imported image ${child}`));
    const installed = imgadm('list', '-j').json() as {manifest: Record<string, unknown>}[];
    expect(installed.map(({manifest}) => [manifest.name, manifest.version])).toEqual(
      expect.arrayContaining([
        ['base', '1.0.0'],
        ['child', '2.0.0'],
      ]),
    );
    const offered = imgadm('avail', '-j').json() as {manifest: Record<string, unknown>; source: string}[];
    expect(offered.find(({manifest}) => manifest.uuid === loner)).toMatchObject({
      manifest: {os: 'linux', published_at: expect.any(String)},
      source: world.url,
    });
    expect(imgadm('show', loner).json()).toMatchObject({uuid: loner, name: 'loner'});
    expect(imgadm('get', child).json()).toMatchObject({
      manifest: {uuid: child, origin: base},
      zpool: 'zones',
    });
    expect(imgadm('sources', '-j').json()).toEqual([{url: world.url, type: 'imgapi'}]);
  });

  test('knows failures by their status', () => {
    expect(imgadm('get', nobody).status).toBe(3);
    expect(imgadm('delete', nobody).status).toBe(3);
    expect(imgadm('show', nobody).status).toBe(1);
    expect(imgadm('nonsense').status).toBe(2);
    expect(imgadm('import', '-q', child).status).toBe(0);
  });

  test('splits what delete and vacuum say at blanks', () => {
    imgadm('import', '-q', loner);
    const [deleted = ''] = imgadm('delete', loner).lines;
    expect(deleted.split(' ')).toEqual(['Deleted', 'image', loner]);
    const words = imgadm('vacuum', '-f').lines.map((line) => line.split(' '));
    expect(words.map((line) => [line[2], line[3]])).toEqual([
      [child, '(child@2.0.0)'],
      [base, '(base@1.0.0)'],
    ]);
    expect(imgadm('vacuum', '-f')).toMatchObject({lines: [], status: 0});
  });
});

test('a script picks unused images by awk', () => {
  world.run(['import', '-q', child], 'imgadm');
  const script = "imgadm list -H -o clones,uuid,name,os,version | awk '$1 == 0 {print $2}'";
  const {stdout} = spawnSync('sh', ['-c', script], {env: world.env, encoding: 'utf8'});
  expect(stdout).toBe(`${child}\n`);
});
