import {createHash} from 'node:crypto';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {createImageServer, type ImageServer} from '../../../src/server/image-server.ts';

const uuid = 'aaaaaaaa-1111-4000-8000-000000000001';
const base = 'aaaaaaaa-1111-4000-8000-000000000002';
const owner = '00000000-0000-0000-0000-000000000000';
const manifest = {v: 2, name: 'a', version: '1', type: 'other', os: 'linux', public: true};
const sha1 = createHash('sha1').update('content').digest('hex');

let directory: string;
let server: ImageServer;
let url: string;

beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-update-'));
  await start();
  for (const id of [uuid, base]) {
    await ask('POST', `/images/${id}?action=import`, JSON.stringify({...manifest, uuid: id}));
    await ask('PUT', `/images/${id}/file?compression=none`, 'content');
  }
});

afterEach(async () => {
  await server.close();
  rmSync(directory, {recursive: true});
});

async function start(): Promise<void> {
  server = await createImageServer({directory});
  ({url} = await server.listen({host: '127.0.0.1', port: 0}));
}

async function ask(method: string, target: string, body?: string): Promise<{status: number; json: unknown}> {
  const answer = await fetch(url + target, {method, ...(body !== undefined && {body})});
  const text = await answer.text();
  return {status: answer.status, json: text === '' ? undefined : JSON.parse(text)};
}

const update = (fields: object, more = '') =>
  ask('POST', `/images/${uuid}?action=update${more}`, JSON.stringify(fields));

test('until it is activated, an image can get an origin that is here and the digests of its file', async () => {
  expect(await update({origin: uuid.replace('1', '9')})).toMatchObject({json: {code: 'OriginDoesNotExist'}});
  expect(await update({origin: base})).toMatchObject({status: 200, json: {origin: base}});
  const digests = {digest: `sha256:${'0'.repeat(64)}`, uncompressedDigest: `sha256:${'1'.repeat(64)}`};
  const changed = await update({files: [{...digests, sha1: '0'.repeat(40), size: 1}]});
  expect(changed).toMatchObject({
    status: 200,
    json: {files: [{sha1, size: 7, compression: 'none', ...digests}]},
  });
  expect(await update({files: []})).toMatchObject({status: 422, json: {code: 'ValidationFailed'}});
  expect(await update({origin: null})).toMatchObject({status: 200});
  expect(Object((await ask('GET', `/images/${uuid}`)).json)).not.toHaveProperty('origin');
  expect(await update({uuid: base})).toMatchObject({status: 501, json: {code: 'NotAvailable'}});
});

test.each([
  {state: 'disabled'},
  {billing_tags: ['x']},
  {traits: {ssd: true}},
  {error: {code: 'x'}},
  {files: []},
])('an account may not change %o of its own image', async (fields) => {
  const message = 'Can only be updated by operators';
  const items = [{field: Object.keys(fields)[0], code: 'NotAllowed', message}];
  expect(await update(fields, `&account=${owner}`)).toMatchObject({status: 422, json: {errors: items}});
});

test('a disabled image stays unactivated until it is activated, also over a restart', async () => {
  expect(await ask('POST', `/images/${uuid}?action=disable`)).toMatchObject({json: {state: 'unactivated'}});
  await server.close();
  await start();
  expect(await ask('GET', `/images/${uuid}`)).toMatchObject({json: {state: 'unactivated', disabled: true}});
  expect(await ask('POST', `/images/${uuid}?action=activate`)).toMatchObject({json: {state: 'disabled'}});
  expect(await ask('POST', `/images/${uuid}?action=enable`)).toMatchObject({json: {state: 'active'}});
});

test('a state set by an update hides the image from listings until it is enabled', async () => {
  await ask('POST', `/images/${uuid}?action=activate`);
  expect(await update({state: 'disabled'})).toMatchObject({json: {state: 'disabled', disabled: false}});
  await server.close();
  await start();
  expect(await ask('GET', '/images')).toEqual({status: 200, json: []});
  expect(await ask('POST', `/images/${uuid}?action=enable`)).toMatchObject({json: {state: 'active'}});
});
