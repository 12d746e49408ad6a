/** Who may write: the users file, and what counts as saying who one is. */
import {createHash, generateKeyPairSync, scryptSync} from 'node:crypto';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {createImageServer, type ImageServer} from '../../../src/server/image-server.ts';
import {fixturePath} from '../../fixtures-dir.ts';

const {public_key_openssh: rsaKey} = JSON.parse(
  readFileSync(fixturePath('fixtures', 'imgapi-recorded', 'signing-vectors.json'), 'utf8'),
) as {public_key_openssh: string};
const uuid = 'aaaaaaaa-1111-4000-8000-000000000001';
let directory: string;
let usersFile: string;
let server: ImageServer | undefined;
let warnings: string[];

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-users-'));
  usersFile = path.join(directory, 'users');
  warnings = [];
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(directory, {recursive: true});
});

function hashOf(password: string, cost = 1024): string {
  const salt = Buffer.from('salt of the test');
  const hash = scryptSync(password, salt, 32, {N: cost, r: 8, p: 1});
  return `scrypt:${cost}:8:1:${salt.toString('base64')}:${hash.toString('base64')}`;
}

async function start(users: unknown): Promise<string> {
  writeFileSync(usersFile, typeof users === 'string' ? users : JSON.stringify(users));
  const logger = {info: () => undefined, warn: (text: string) => void warnings.push(text)};
  server = await createImageServer({directory, usersFile, logger, maxFileBytes: 1000});
  return (await server.listen({host: '127.0.0.1', port: 0})).url;
}

function basic(user: string, password: string): Record<string, string> {
  return {authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`};
}

async function statusOf(url: string, target: string, init: RequestInit = {}): Promise<number> {
  return (await fetch(`${url}${target}`, init)).status;
}

test.each([
  ['no JSON', '{'],
  ['a list', []],
  ['a strange name', {'a"b': {}}],
  ['keys that are no list', {alice: {keys: 'ssh-rsa AAAA'}}],
  ['a password in the clear', {alice: {password: 'secret'}}],
  [
    'a password that costs too much',
    {alice: {password: 'scrypt:1048576:8:1:c2FsdHNhbHQ=:aGFzaGhhc2hoYXNoaGFzaA=='}},
  ],
])('a users file with %s ends the server at its start', async (_, users) => {
  await expect(start(users)).rejects.toMatchObject({
    code: 'ConfigError',
    message: expect.stringContaining(`users file "${usersFile}"`),
  });
  server = undefined;
});

test('a users file that is not there ends the server at its start, rather than letting everybody write', async () => {
  await expect(createImageServer({directory, usersFile})).rejects.toMatchObject({code: 'ConfigError'});
});

test('keys of other types and damaged ones are warned about', async () => {
  const {publicKey} = generateKeyPairSync('ed25519');
  const raw = publicKey.export({format: 'jwk'}).x ?? '';
  const string = (bytes: Buffer): Buffer => Buffer.concat([Buffer.of(0, 0, 0, bytes.length), bytes]);
  const blob = Buffer.concat([string(Buffer.from('ssh-ed25519')), string(Buffer.from(raw, 'base64url'))]);
  await start({bob: {keys: [`ssh-ed25519 ${blob.toString('base64')}`, 'ssh-rsa AAAA', '', rsaKey]}});
  expect(warnings).toHaveLength(3);
  expect(warnings[0]).toBe('a key of user "bob" is not used: it is of type ssh-ed25519');
});

test('a password opens writes, a wrong one opens nothing, reads of files ask nobody', async () => {
  const url = await start({alice: {password: hashOf('right')}, bob: {keys: [rsaKey]}});
  const write = (headers: Record<string, string>) =>
    statusOf(url, `/images/${uuid}`, {method: 'DELETE', headers});
  expect(await write({})).toBe(401);
  expect(await write(basic('alice', 'wrong'))).toBe(401);
  expect(await write(basic('bob', ''))).toBe(401);
  expect(await write(basic('nobody', 'right'))).toBe(401);
  expect(await write(basic('alice', 'right'))).toBe(404);
  expect(await write(basic('alice', 'right'))).toBe(404);
  expect(await statusOf(url, '/images')).toBe(200);
  expect(await statusOf(url, '/images', {headers: basic('alice', 'wrong')})).toBe(401);
  expect(await statusOf(url, `/images/${uuid}/file`, {headers: basic('alice', 'wrong')})).toBe(404);
});

test('a reload takes new users, and keeps the old ones when the file is wrong', async () => {
  const url = await start({alice: {password: hashOf('right')}});
  const reload = (who: string) =>
    statusOf(url, '/authkeys/reload', {method: 'POST', headers: basic(who, 'right')});
  expect(await statusOf(url, '/authkeys/reload', {method: 'POST'})).toBe(401);
  writeFileSync(usersFile, '{');
  expect(await reload('alice')).toBe(500);
  writeFileSync(usersFile, JSON.stringify({bob: {password: hashOf('right')}}));
  expect(await reload('alice')).toBe(200);
  expect(await reload('alice')).toBe(401);
  expect(await reload('bob')).toBe(200);
});

test('an upload is bounded, and compared with its Content-MD5', async () => {
  const url = await start({alice: {password: hashOf('right')}});
  const headers = {...basic('alice', 'right'), 'content-type': 'application/json'};
  const manifest = {v: 2, uuid, name: 'a', version: '1', type: 'other', os: 'linux', public: true};
  const body = JSON.stringify(manifest);
  expect(await statusOf(url, `/images/${uuid}?action=import`, {method: 'POST', headers, body})).toBe(200);
  const put = (bytes: string, md5Of = bytes): Promise<Response> => {
    const md5 = createHash('md5').update(md5Of).digest('base64');
    const target = `${url}/images/${uuid}/file?compression=none`;
    return fetch(target, {method: 'PUT', headers: {...headers, 'content-md5': md5}, body: bytes});
  };
  expect(await (await put('x'.repeat(1001))).json()).toMatchObject({code: 'Upload'});
  expect(await (await put('image', 'other')).json()).toMatchObject({code: 'BadDigest'});
  expect(await (await put('image')).json()).toMatchObject({files: [{size: 5}]});
});
