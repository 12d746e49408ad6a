/** Publishing as somebody: with a key file, an agent and a password; and where none of that may come out. */

import {type ChildProcess, spawn, spawnSync} from 'node:child_process';
import {randomBytes, scryptSync} from 'node:crypto';
import {once} from 'node:events';
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {createImageServer, type ImageServer} from '../../src/server/image-server.ts';
import {World} from '../support/world.ts';

const world = new World();
const password = 'a password that nobody sees';
let server: ImageServer;
let url: string;
let agent: ChildProcess;

const uuid = 'aaaaaaaa-1111-4000-8000-000000000001';

beforeAll(async () => {
  const [key, socket] = [place('key'), place('agent')];
  run('ssh-keygen', '-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', key);
  agent = spawn('ssh-agent', ['-D', '-a', socket], {stdio: 'ignore'});
  while (!existsSync(socket)) await sleep(10);
  world.env.SSH_AUTH_SOCK = socket;
  run('ssh-add', '-q', key);
  const salt = randomBytes(16);
  const hash = scryptSync(password, salt, 32, {N: 1024, r: 8, p: 1});
  const users = {
    alice: {
      keys: [readFileSync(`${key}.pub`, 'utf8')],
      password: `scrypt:1024:8:1:${salt.toString('base64')}:${hash.toString('base64')}`,
    },
  };
  writeFileSync(place('users.json'), JSON.stringify(users));
  writeFileSync(place('password'), `${password}\n`, {mode: 0o600});
  writeFileSync(place('image'), 'image');
  const files = [{sha1: '0e76292794888d4f1fa75fb3aff4ca27c58f56a6', size: 5, compression: 'none'}];
  const manifest = {v: 2, uuid, name: 'image', version: '1', type: 'other', os: 'linux', public: true, files};
  writeFileSync(place('image.imgmanifest'), JSON.stringify(manifest));
  server = await createImageServer({directory: place('served'), usersFile: place('users.json')});
  ({url} = await server.listen({host: '127.0.0.1', port: 0}));
});
afterAll(async () => {
  agent.kill();
  await once(agent, 'exit');
  await server.close();
  await world.end();
});

function place(name: string): string {
  return path.join(world.directory, name);
}

function run(program: string, ...args: string[]): void {
  const {status, stderr} = spawnSync(program, args, {env: world.env, encoding: 'utf8'});
  if (status !== 0) throw new Error(`${program}: ${stderr}`);
}

/** Lines of the private key, and what of a request proves who sends it. */
function secrets(): string[] {
  const key = readFileSync(place('key'), 'utf8').split('\n').slice(1, -2);
  return [...key, password, Buffer.from(`alice:${password}`).toString('base64'), 'signature="', 'Basic '];
}

test.each([
  {how: 'a key file', auth: {key: 'KEY'}},
  {how: 'the agent', auth: {key: 'agent'}},
  {how: 'a password', auth: {passwordFile: 'PASSWORD'}},
  {how: 'a credential', auth: {passwordFile: '%d/password'}},
])('$how opens the server, and is in no log, argument or environment', async ({auth}) => {
  const {key = undefined, passwordFile = undefined} = auth;
  const secret = key
    ? {key: key.replace('KEY', place('key'))}
    : {passwordFile: passwordFile!.replace('PASSWORD', place('password'))};
  world.configure({sources: [{url, type: 'imgapi', name: 'here', auth: {user: 'alice', ...secret}}]});
  world.env.IMGCTL_LOG_LEVEL = 'trace';
  world.env.CREDENTIALS_DIRECTORY = world.directory;
  const seen: string[] = [];
  const outcome = await world.runWhile(
    ['publish', '-m', place('image.imgmanifest'), '-f', place('image'), 'here'],
    async (child) => {
      while (child.exitCode === null) {
        for (const name of ['cmdline', 'environ']) seen.push(procFile(child.pid, name));
        await sleep(20);
      }
    },
  );
  expect(outcome).toMatchObject({status: 0, stdout: expect.stringContaining('Successfully published')});
  expect(outcome.stderr).toContain('/images/');
  const all = [outcome.stdout, outcome.stderr, ...seen].join('\n');
  expect(secrets().filter((text) => all.includes(text))).toEqual([]);
  const gone = await world.runWhile(['server', 'delete', '--yes', 'here', uuid], async () => undefined);
  expect(gone.status).toBe(0);
});

function procFile(pid: number | undefined, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return '';
  }
}
