/** Keys as ssh-keygen makes them, in files and with a real ssh-agent. */
import {type ChildProcess, spawn, spawnSync} from 'node:child_process';
import {createPublicKey, type KeyObject, verify} from 'node:crypto';
import {once} from 'node:events';
import {existsSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {fingerprint, rsaPrivateKey, rsaPublicKey} from '../../../src/imgapi/openssh-key.ts';
import {agentSigner, keySigner} from '../../../src/imgapi/signers.ts';

let directory: string;
let agent: ChildProcess;
const text = 'date: Sat, 21 Nov 2026 09:20:02 GMT';

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-signers-'));
  makeKey('rsa', '-t', 'rsa', '-b', '2048');
  makeKey('pem', '-t', 'rsa', '-b', '2048', '-m', 'PEM');
  makeKey('locked', '-t', 'rsa', '-b', '2048', '-N', 'passphrase');
  makeKey('ed25519', '-t', 'ed25519');
  agent = spawn('ssh-agent', ['-D', '-a', place('agent')], {stdio: 'ignore'});
  while (!existsSync(place('agent'))) await sleep(10);
});
afterAll(async () => {
  agent.kill();
  await once(agent, 'exit');
  rmSync(directory, {recursive: true});
});

function place(name: string): string {
  return path.join(directory, name);
}

function run(program: string, ...args: string[]): void {
  const {status, stderr} = spawnSync(program, args, {
    encoding: 'utf8',
    env: {...process.env, SSH_AUTH_SOCK: place('agent')},
  });
  if (status !== 0) throw new Error(`${program}: ${stderr}`);
}

function makeKey(name: string, ...options: string[]): void {
  run('ssh-keygen', '-q', '-f', place(name), ...(options.includes('-N') ? [] : ['-N', '']), ...options);
}

function publicBlob(name: string): Buffer {
  return Buffer.from(readFileSync(`${place(name)}.pub`, 'utf8').split(' ')[1]!, 'base64');
}

function privateKey(name: string): KeyObject {
  return rsaPrivateKey(readFileSync(place(name), 'utf8'), name);
}

test.each(['rsa', 'pem'])('a key file of ssh-keygen signs (%s)', async (name) => {
  const {algorithm, signature} = await keySigner(privateKey(name)).sign(text);
  expect(algorithm).toBe('rsa-sha256');
  expect(verify('sha256', Buffer.from(text), rsaPublicKey(publicBlob(name)), signature)).toBe(true);
  expect(createPublicKey(privateKey(name)).equals(rsaPublicKey(publicBlob(name)))).toBe(true);
});

test('keys that servers refuse are refused by name, with the way out', () => {
  expect(() => privateKey('ed25519')).toThrow(
    expect.objectContaining({
      code: 'NotSupported',
      message: 'key file "ed25519" is of type ssh-ed25519: image servers accept RSA keys only',
      hint: expect.stringContaining('ssh-keygen -t rsa'),
    }),
  );
  expect(() => privateKey('locked')).toThrow(
    expect.objectContaining({code: 'NotSupported', hint: expect.stringContaining('ssh-add locked')}),
  );
});

test('no part of a damaged key comes out in the message', () => {
  const whole = readFileSync(place('rsa'), 'utf8');
  for (const broken of ['', 'nonsense', whole.slice(0, 600), whole.replace(/[A-Z]{3}/, 'AAA')]) {
    try {
      rsaPrivateKey(broken, 'k');
    } catch (error) {
      expect(error).toMatchObject({code: 'ConfigError', message: 'key file "k" is not a private key'});
      expect(error).not.toHaveProperty('cause');
    }
  }
});

test('an agent signs with its first RSA key, or with the one that is wanted', async () => {
  run('ssh-add', '-q', place('ed25519'));
  await expect(agentSigner(place('agent'), undefined).sign(text)).rejects.toMatchObject({
    code: 'NotAuthorized',
    message: expect.stringContaining('has no RSA key'),
  });
  run('ssh-add', '-q', place('rsa'), place('pem'));
  for (const [wanted, name] of [
    [undefined, 'rsa'],
    [fingerprint(publicBlob('pem')), 'pem'],
  ] as const) {
    const {algorithm, signature} = await agentSigner(place('agent'), wanted).sign(text);
    expect(algorithm).toBe('rsa-sha256');
    expect(verify('sha256', Buffer.from(text), rsaPublicKey(publicBlob(name)), signature)).toBe(true);
  }
  await expect(agentSigner(place('agent'), 'SHA256:nobody').sign(text)).rejects.toMatchObject({
    message: expect.stringContaining('has no key SHA256:nobody'),
  });
  await expect(
    agentSigner(place('agent'), fingerprint(publicBlob('ed25519'))).sign(text),
  ).rejects.toMatchObject({
    code: 'NotSupported',
  });
});

test('an agent that is not there, hangs up or talks nonsense is told of', async () => {
  await expect(agentSigner(place('none'), undefined).sign(text)).rejects.toMatchObject({
    code: 'NotAuthorized',
    message: expect.stringContaining('ENOENT'),
  });
  const answers = ['', '\x00\x00\x00\x01\x05', '\x00\x00\x00\x05\x0c\x00\x00\x00\x09', '\xff\xff\xff\xff'];
  const liar = createServer((socket) => {
    socket.once('data', () => socket.end(Buffer.from(answers.shift() ?? '', 'latin1')));
  });
  await once(liar.listen(place('liar')), 'listening');
  try {
    for (const reason of ['hung up', 'does not list', 'damaged', 'too long']) {
      await expect(agentSigner(place('liar'), undefined).sign(text)).rejects.toThrow(reason);
    }
  } finally {
    liar.close();
  }
});
