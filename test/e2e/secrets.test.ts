/** A secret in every place where one can be: in a URL, a proxy, a key. None comes out where others may read. */
import {execFileSync} from 'node:child_process';
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {slowServer} from '../support/slow-server.ts';
import {World} from '../support/world.ts';

const marker = 'MARKER';
const uuid = 'aaaaaaaa-1111-4000-8000-000000000001';
const world = new World();
/** Nobody listens there. */
const secretUrl = `http://me:${marker}1@127.0.0.1:9/x?token=${marker}2`;

beforeAll(() => world.start());
afterAll(() => world.end());

function readOr(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

test.each([
  ['imgctl', ['avail']],
  ['imgctl', ['import', '-q', uuid]],
  ['imgctl', ['-E', 'get', secretUrl]],
  ['imgctl', ['delete', secretUrl]],
  ['imgctl', ['-E', 'publish', '-m', 'none', '-f', 'none', secretUrl]],
  ['imgctl', ['server', 'delete', '--yes', secretUrl, uuid]],
  ['imgctl', ['pull-raw', '--verify=no', secretUrl, 'x']],
  ['imgctl', ['sources', '-f', '-a', secretUrl]],
  ['imgctl', ['sources', '-d', secretUrl]],
  ['imgctl', ['doctor']],
  ['imgadm', ['-E', 'show', secretUrl]],
  // Answered, because it tries as often as it wants.
  ['importctl', ['pull-raw', '--class=machine', '--verify=no', 'HERE', 'y']],
])('%s %j tells no secret of a URL, whatever is logged', (program, args) => {
  world.useSources([secretUrl]);
  const here = `${world.url.replace('//', `//me:${marker}1@`)}/none?token=${marker}2`;
  const line = args.map((word) => (word === 'HERE' ? here : word));
  const {env} = world;
  const more = {
    IMGCTL_LOG_LEVEL: 'trace',
    IMGADM_LOG_LEVEL: 'trace',
    https_proxy: `http://me:${marker}3@127.0.0.1:9`,
    no_proxy: '127.0.0.1',
  };
  Object.assign(env, more);
  try {
    const {stdout, stderr, signal} = world.run(
      program === 'importctl' ? line : ['--retries=0', ...line],
      program,
    );
    expect(signal).toBeNull();
    expect(`${stdout}${stderr}`).toContain('127.0.0.1');
    expect(`${stdout}${stderr}`).not.toContain(marker);
  } finally {
    for (const name of Object.keys(more)) delete env[name];
    world.useSources([world.url]);
  }
});

test('the processes of a transfer have no secret of its URL among their arguments', async () => {
  const {uuid: published} = world.publish(Buffer.alloc(2 << 20, 'data'));
  const slow = await slowServer(world.url, {bytesPerSecond: 1 << 20});
  const url = `${slow.url}/images/${published}/file?token=${marker}`;
  const seen = new Map<string, string>();
  const outcome = await world.runWhile(
    ['pull-raw', '--class=machine', '--verify=no', url, 'pulled'],
    async (child) => {
      while (child.exitCode === null) {
        for (const pid of readdirSync('/proc').filter(
          (name) => /^\d+$/.test(name) && name !== `${child.pid}`,
        ))
          if (readOr(`/proc/${pid}/environ`).includes(world.root))
            seen.set(pid, readOr(`/proc/${pid}/cmdline`));
        await sleep(20);
      }
    },
    'importctl',
  );
  await slow.close();
  expect(outcome).toMatchObject({status: 0});
  // A process that has not yet begun its program has the arguments of its parent, which the user has typed.
  const words = [...seen.values()].filter((text) => !/\/(start\.cjs|bin\/importctl)\0/.test(text));
  expect(words.filter((text) => text.includes('transfer-worker.js'))).not.toEqual([]);
  expect(words.filter((text) => text.includes(marker))).toEqual([]);
});

test('a server that knows password hashes, and who signs with a key, leave no core dump', async () => {
  const limits = (pid: number | undefined): string =>
    /^Max core file size +(\S+ +\S+)/m.exec(readOr(`/proc/${pid}/limits`))?.[1] ?? '';
  const key = path.join(world.directory, 'key');
  execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', key]);
  writeFileSync(path.join(world.directory, 'users.json'), '{}');
  const served = world.spawn([
    ...['serve', '--listen', '127.0.0.1:0', '--users', path.join(world.directory, 'users.json')],
    path.join(world.directory, 'more'),
  ]);
  const ended = new Promise((resolve) => served.on('close', resolve));
  await new Promise((resolve) => served.stdout?.once('data', resolve));
  expect(limits(served.pid)).toMatch(/^0 +0$/);
  served.kill('SIGTERM');
  await ended;
  world.configure({sources: [{url: world.url, type: 'imgapi', auth: {user: 'alice', key}}]});
  const {uuid: published} = world.publish(Buffer.from('image'));
  const slow = await slowServer(world.url, {bytesPerSecond: 1 << 20});
  world.configure({sources: [{url: slow.url, type: 'imgapi', auth: {user: 'alice', key}}]});
  const found = new Set<string>();
  await world.runWhile(['import', '-q', published], async (child) => {
    for (; child.exitCode === null; await sleep(5)) found.add(limits(child.pid));
  });
  await slow.close();
  expect([...found].some((text) => /^0 +0$/.test(text))).toBe(true);
});
