/**
 * The reference client library (npm `sdc-clients`, lib/imgapi.js) against our server. It is CommonJS for Node 0.8 and
 * later, and loads on Node 26 as it is: its logger does without the native part of dtrace-provider.
 */
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  scryptSync,
  sign,
} from 'node:crypto';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {promisify} from 'node:util';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {sshString} from '../../src/imgapi/openssh-key.ts';
import type {ImageManifest} from '../../src/manifest/manifest.ts';
import {createImageServer, type ImageServer} from '../../src/server/image-server.ts';

type Call<Result> = (...args: unknown[]) => Promise<Result>;

interface ReferenceClient {
  ping: Call<{imgapi: boolean}>;
  listImages: Call<ImageManifest[]>;
  getImage: Call<ImageManifest>;
  getImageFile: Call<unknown>;
  adminImportImage: Call<ImageManifest>;
  addImageFile: Call<ImageManifest>;
  activateImage: Call<ImageManifest>;
  disableImage: Call<ImageManifest>;
  enableImage: Call<ImageManifest>;
  deleteImage: Call<unknown>;
  close: () => void;
}

const content = Buffer.alloc(3_000_001, 'image content ');
const sha1 = createHash('sha1').update(content).digest('hex');
const uuid = 'aaaaaaaa-1111-4000-8000-000000000001';
const owner = '11111111-1111-4111-8111-111111111111';
const manifest = {
  ...{v: 2, uuid, owner, name: 'sample', version: '1.0.0', type: 'other', os: 'linux', public: true},
  files: [{sha1, size: content.length, compression: 'none'}],
};

let directory: string;
let server: ImageServer;
let client: ReferenceClient;

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-sdc-clients-'));
  server = await createImageServer({directory: path.join(directory, 'served')});
  const {url} = await server.listen({host: '127.0.0.1', port: 0});
  client = await loadClient(url);
});

afterAll(async () => {
  client.close();
  await server.close();
  rmSync(directory, {recursive: true});
});

/** The library's methods take callbacks; their first result is what counts here. */
async function loadClient(url: string, more: object = {}): Promise<ReferenceClient> {
  const require = createRequire(import.meta.url);
  const {createClient} = require('sdc-clients/lib/imgapi.js');
  const made = createClient({url, version: '~2', agent: false, retry: false, ...more});
  const names = [
    ...['ping', 'listImages', 'getImage', 'getImageFile', 'adminImportImage', 'addImageFile'],
    ...['activateImage', 'disableImage', 'enableImage', 'deleteImage'],
  ];
  const calls = names.map((name) => [name, promisify(made[name].bind(made))]);
  return {...Object.fromEntries(calls), close: () => made.close()};
}

test('the reference client publishes, lists, downloads and deletes an image', async () => {
  expect((await client.ping()).imgapi).toBe(true);
  const imported = await client.adminImportImage(manifest, {});
  expect(imported).toMatchObject({uuid, state: 'unactivated', files: []});

  const source = path.join(directory, 'source');
  writeFileSync(source, content);
  const file = {uuid, file: source, size: content.length, compression: 'none', sha1};
  expect((await client.addImageFile(file)).files).toEqual([
    {sha1, size: content.length, compression: 'none'},
  ]);
  expect((await client.activateImage(uuid)).state).toBe('active');

  const listed = await client.listImages({name: '~samp'});
  expect(listed.map((image) => image.uuid)).toEqual([uuid]);
  expect(await client.getImage(uuid)).toEqual(listed[0]);

  // The library compares the body with Content-MD5 itself.
  const target = path.join(directory, 'target');
  await client.getImageFile(uuid, target);
  expect(readFileSync(target).equals(content)).toBe(true);

  expect((await client.disableImage(uuid)).state).toBe('disabled');
  expect(await client.listImages()).toEqual([]);
  expect((await client.enableImage(uuid)).state).toBe('active');
  await client.deleteImage(uuid);
  await expect(client.getImage(uuid)).rejects.toMatchObject({
    statusCode: 404,
    body: {code: 'ResourceNotFound', message: `image ${uuid} not found`},
  });
});

test('the reference client publishes with a signature, and with a password', async () => {
  const keys = generateKeyPairSync('rsa', {modulusLength: 2048});
  const folder = path.join(directory, 'signed');
  const usersFile = path.join(directory, 'users.json');
  const password = {salt: randomBytes(16), text: 'correct horse'};
  const hash = scryptSync(password.text, password.salt, 32, {N: 1024, r: 8, p: 1});
  writeFileSync(
    usersFile,
    JSON.stringify({
      alice: {keys: [authorizedKey(keys.publicKey)]},
      bob: {password: `scrypt:1024:8:1:${password.salt.toString('base64')}:${hash.toString('base64')}`},
    }),
  );
  const signed = await createImageServer({directory: folder, usersFile});
  const {url} = await signed.listen({host: '127.0.0.1', port: 0});
  const pem = keys.privateKey.export({type: 'pkcs1', format: 'pem'});
  const signer = (key: typeof pem) => (text: string, done: (error: null, signature: object) => void) => {
    const signature = sign('sha256', Buffer.from(text), createPrivateKey(key)).toString('base64');
    done(null, {algorithm: 'rsa-sha256', signature});
  };
  const stranger = generateKeyPairSync('rsa', {modulusLength: 2048}).privateKey.export({
    type: 'pkcs1',
    format: 'pem',
  });
  const cases = [
    {who: {user: 'alice', sign: signer(pem)}, accepted: true},
    {who: {user: 'bob', password: password.text}, accepted: true},
    {who: {user: 'alice', sign: signer(stranger)}, accepted: false},
    {who: {user: 'bob', password: 'wrong horse'}, accepted: false},
    {who: {}, accepted: false},
  ];
  const source = path.join(directory, 'signed-source');
  writeFileSync(source, content);
  try {
    for (const {who, accepted} of cases) {
      const writer = await loadClient(url, who);
      const imported = writer.adminImportImage(manifest, {});
      if (accepted) {
        await imported;
        await writer.addImageFile({uuid, file: source, size: content.length, compression: 'none', sha1});
        expect((await writer.activateImage(uuid)).state).toBe('active');
        await writer.deleteImage(uuid);
      } else {
        await expect(imported).rejects.toMatchObject({statusCode: 401, body: {code: 'UnauthorizedError'}});
      }
      writer.close();
    }
  } finally {
    await signed.close();
  }
});

/** As authorized_keys(5) has it. */
function authorizedKey(key: KeyObject): string {
  const {n = '', e = ''} = key.export({format: 'jwk'});
  const number = (text: string): Buffer => Buffer.concat([Buffer.of(0), Buffer.from(text, 'base64url')]);
  const blob = Buffer.concat([
    sshString('ssh-rsa'),
    sshString(Buffer.from(e, 'base64url')),
    sshString(number(n)),
  ]);
  return `ssh-rsa ${blob.toString('base64')} alice@example`;
}

test('the reference client sees validation items as it expects them', async () => {
  const invalid = {...manifest, os: 'plan9'};
  await expect(client.adminImportImage(invalid, {})).rejects.toMatchObject({
    statusCode: 422,
    body: {code: 'ValidationFailed', errors: [{field: 'os', code: 'Invalid'}]},
  });
});

test('the reference client reads a listing of more than a thousand images', async () => {
  const folder = path.join(directory, 'many');
  const ids = Array.from(
    {length: 1003},
    (_, index) => `bbbbbbbb-1111-4000-8000-${String(index).padStart(12, '0')}`,
  );
  for (const [index, id] of ids.entries()) {
    const kept = path.join(folder, 'images', id);
    const published_at = new Date(1_600_000_000_000 + index * 1000).toISOString();
    mkdirSync(kept, {recursive: true});
    const image = {...manifest, uuid: id, published_at, state: 'active', files: []};
    writeFileSync(path.join(kept, 'manifest.json'), JSON.stringify(image));
  }
  const many = await createImageServer({directory: folder});
  const {url} = await many.listen({host: '127.0.0.1', port: 0});
  const lister = await loadClient(url);
  try {
    expect((await lister.listImages()).map((image) => image.uuid)).toEqual(ids);
  } finally {
    lister.close();
    await many.close();
  }
});
