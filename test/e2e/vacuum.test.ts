/** What vacuum must keep: images that the host uses, on real mounts and loop devices. */

import {spawnSync} from 'node:child_process';
import {mkdirSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {World} from '../support/world.ts';

const world = new World();
beforeAll(async () => {
  await world.start();
});
afterAll(() => world.end());

function run(program: string, ...args: string[]): string {
  const {status, stdout, stderr} = spawnSync(program, args, {encoding: 'utf8'});
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
  return stdout.trim();
}

test('an image that is attached to a loop device stays, and goes when it is free', () => {
  const {uuid} = world.publish(Buffer.alloc(1 << 20, 'disk'));
  expect(world.run(['import', '-q', uuid]).status).toBe(0);
  const device = run(
    'losetup',
    '-r',
    '-f',
    '--show',
    path.join(world.root, 'var/lib/machines', `${uuid}.raw`),
  );
  try {
    expect(world.run(['vacuum', '-f'])).toMatchObject({status: 0, stdout: ''});
    expect(world.run(['vacuum', '-n']).stderr).toContain(`(world@1.0.0): attached to`);
  } finally {
    run('losetup', '-d', device);
  }
  expect(world.run(['vacuum', '-f']).stdout).toBe(`Deleted image ${uuid} (world@1.0.0)\n`);
  expect(world.machines()).toEqual([]);
});

test('an unused child of an image that is mounted goes, the image stays', () => {
  const archive = path.join(world.directory, 'tree.tar');
  mkdirSync(path.join(world.directory, 'tree/mnt'), {recursive: true});
  run('tar', '-C', path.join(world.directory, 'tree'), '-cf', archive, '.');
  const bytes = spawnSync('cat', [archive]).stdout;
  const base = world.publish(bytes, {name: 'base'});
  const child = world.publish(bytes, {name: 'child', origin: base.uuid});
  expect(world.run(['import', '-q', child.uuid]).status).toBe(0);
  const place = path.join(world.directory, 'mounted');
  mkdirSync(place);
  run('mount', '--bind', path.join(world.root, 'var/lib/machines', base.uuid), place);
  try {
    expect(world.run(['vacuum', '-f']).stdout).toBe(`Deleted image ${child.uuid} (child@1.0.0)\n`);
    expect(world.installed()).toEqual([base.uuid]);
  } finally {
    run('umount', place);
  }
});
