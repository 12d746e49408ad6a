/** What the host uses is not deleted. Needs root, loop devices and mounts. */

import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {copyFileSync, mkdirSync, readdirSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {World} from '../support/world.ts';

let world: World;
const cleanups: (() => unknown)[] = [];
beforeEach(async () => {
  world = await new World().start();
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await world.end();
});

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, {encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit']}).trim();
}

/** An installed image with this content. */
function install(bytes: Buffer): {uuid: string; place: string} {
  const {uuid} = world.publish(bytes);
  expect(world.run(['import', '-q', uuid]).status).toBe(0);
  const [name = ''] = readdirSync(path.join(world.root, 'var/lib/machines')).filter((entry) =>
    entry.startsWith(uuid),
  );
  return {uuid, place: path.join(world.root, 'var/lib/machines', name)};
}

function installDisk(): {uuid: string; place: string} {
  const file = path.join(world.directory, 'disk');
  run('truncate', '-s', '4M', file);
  run('mkfs.ext4', '-q', file);
  return install(readFileSync(file));
}

/** A tree with a static program to run in it, so that something can have it as its root. */
function installTree(): {uuid: string; place: string} {
  const tree = path.join(world.directory, 'tree');
  mkdirSync(path.join(tree, 'etc'), {recursive: true});
  for (const library of new Set(run('ldd', '/bin/sleep').match(/\/\S+/g))) {
    mkdirSync(path.join(tree, path.dirname(library)), {recursive: true});
    copyFileSync(library, path.join(tree, library));
  }
  copyFileSync('/bin/sleep', path.join(tree, 'sleep'));
  run('tar', '-C', tree, '-cf', `${tree}.tar`, '.');
  return install(readFileSync(`${tree}.tar`));
}

function expectRefusal(uuid: string, use: RegExp): void {
  const {status, stderr} = world.run(['delete', uuid]);
  expect(status).toBe(1);
  expect(stderr).toMatch(new RegExp(`error \\(ImageInUse\\): image "${uuid}" is in use: .*${use.source}`));
}

function expectDeleted(uuid: string): void {
  expect(world.run(['delete', uuid])).toMatchObject({status: 0, stdout: `Deleted image ${uuid}\n`});
}

describe('delete refuses an image', () => {
  test('whose disk is attached to a loop device', () => {
    const {uuid, place} = installDisk();
    const device = run('losetup', '--read-only', '--find', '--show', place);
    cleanups.push(() => run('losetup', '--detach', device));
    expectRefusal(uuid, new RegExp(`attached to "${device}"`));
    cleanups.pop();
    run('losetup', '--detach', device);
    expectDeleted(uuid);
  });

  test('whose disk a process has open', async () => {
    const {uuid, place} = installDisk();
    const holder = spawn('sh', ['-c', 'exec <"$1"; echo; exec sleep 1000', 'sh', place]);
    cleanups.push(() => holder.kill('SIGKILL'));
    await once(holder.stdout, 'data');
    expectRefusal(uuid, new RegExp(`used by process ${holder.pid} \\(`));
    holder.kill('SIGKILL');
    await once(holder, 'close');
    expectDeleted(uuid);
  });

  test('that is mounted elsewhere', () => {
    const {uuid, place} = installTree();
    const target = path.join(world.directory, 'with blank');
    mkdirSync(target);
    run('mount', '--bind', path.join(place, 'etc'), target);
    cleanups.push(() => run('umount', target));
    expectRefusal(uuid, new RegExp(`mounted at "${target}"`));
    cleanups.pop();
    run('umount', target);
    expectDeleted(uuid);
  });

  test('below which something is mounted', () => {
    const {uuid, place} = installTree();
    run('mount', '-t', 'tmpfs', 'none', path.join(place, 'etc'));
    cleanups.push(() => run('umount', path.join(place, 'etc')));
    expectRefusal(uuid, new RegExp(`mounted at "${place}/etc"`));
    cleanups.pop();
    run('umount', path.join(place, 'etc'));
    expectDeleted(uuid);
  });

  test('that is the root directory of a process', async () => {
    const {uuid, place} = installTree();
    const holder = spawn('chroot', [place, '/sleep', '1000']);
    cleanups.push(() => holder.kill('SIGKILL'));
    await expect
      .poll(() => readFileSync(`/proc/${holder.pid}/comm`, 'utf8').trim(), {timeout: 20_000})
      .toBe('sleep');
    expectRefusal(uuid, new RegExp(`used by process ${holder.pid} \\(sleep\\)`));
    holder.kill('SIGKILL');
    await once(holder, 'close');
    expectDeleted(uuid);
  });

  test('that is mounted in another mount namespace', async () => {
    const {uuid, place} = installTree();
    const script = 'mount --bind "$1" "$2" && echo && exec sleep 1000';
    const target = path.join(world.directory, 'elsewhere');
    mkdirSync(target);
    const holder = spawn('unshare', ['--mount', 'sh', '-c', script, 'sh', place, target]);
    cleanups.push(() => holder.kill('SIGKILL'));
    await once(holder.stdout, 'data');
    expectRefusal(uuid, new RegExp(`mounted by process ${holder.pid} \\(`));
    holder.kill('SIGKILL');
    await once(holder, 'close');
    expectDeleted(uuid);
  });

  test('that is its own dependant only when it has instances', () => {
    const {uuid} = installTree();
    expect(world.run(['clone', uuid, 'web1']).status).toBe(0);
    const {status, stderr} = world.run(['delete', uuid]);
    expect(status).toBe(1);
    expect(stderr).toContain('error (ImageHasDependentClones)');
  });
});
