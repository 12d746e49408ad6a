import {createHash} from 'node:crypto';
import {mkdtempSync, rmSync, utimesSync} from 'node:fs';
import {request as httpRequest} from 'node:http';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {buffer} from 'node:stream/consumers';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {createImageServer, type ImageServer} from '../../../src/server/image-server.ts';

const uuid = 'aaaaaaaa-1111-4000-8000-000000000001';
const account = '11111111-1111-4111-8111-111111111111';
const manifest = {v: 2, uuid, name: 'a', version: '1', type: 'other', os: 'linux', public: true};
const changedAt = new Date('2026-01-02T03:04:05.000Z');
const [before, same, after] = [-1, 0, 1].map((step) =>
  new Date(changedAt.getTime() + step * 1000).toUTCString(),
);

let directory: string;
let server: ImageServer;
let url: string;

beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-conditions-'));
  await start();
  await ask('POST', `/images/${uuid}?action=import`, {body: JSON.stringify(manifest)});
  await ask('PUT', `/images/${uuid}/file?compression=none`, {body: 'content'});
  await ask('PUT', `/images/${uuid}/icon`, {body: 'picture', headers: {'content-type': 'image/png'}});
  await ask('POST', `/images/${uuid}?action=activate`);
  await server.close();
  for (const name of ['manifest.json', 'file', 'icon']) {
    utimesSync(path.join(directory, 'images', uuid, name), changedAt, changedAt);
  }
  await start();
});

afterEach(async () => {
  await server.close();
  rmSync(directory, {recursive: true});
});

async function start(): Promise<void> {
  server = await createImageServer({directory});
  ({url} = await server.listen({host: '127.0.0.1', port: 0}));
}

function ask(
  method: string,
  target: string,
  options: {headers?: Record<string, string>; body?: string} = {},
): Promise<{status: number; headers: Record<string, unknown>; body: Buffer}> {
  return new Promise((resolve, reject) => {
    const {headers = {}, body} = options;
    const request = httpRequest(url + target, {method, headers, agent: false}, async (response) => {
      resolve({status: response.statusCode ?? 0, headers: response.headers, body: await buffer(response)});
    });
    request.once('error', reject).end(body);
  });
}

const targets = [`/images/${uuid}`, `/images/${uuid}/file`, `/images/${uuid}/icon`, '/images'];

describe.each(targets)('GET %s', (target) => {
  test('is 304 for the version the client holds, by its tag with and without quotes', async () => {
    const {headers} = await ask('GET', target);
    const tag = String(headers.etag);
    for (const value of [tag, `"${tag}"`, `W/"${tag}"`, `"x", "${tag}"`, '*']) {
      const answer = await ask('GET', target, {headers: {'if-none-match': value}});
      expect([answer.status, answer.body.length]).toEqual([304, 0]);
    }
    expect(await ask('GET', target, {headers: {'if-none-match': 'x'}})).toMatchObject({status: 200});
  });

  test('is 304 when nothing changed since a date, unless a tag says otherwise', async () => {
    const future = new Date(Date.now() + 10_000).toUTCString();
    const since = (date: string) => ask('GET', target, {headers: {'if-modified-since': date}});
    expect(await since(future)).toMatchObject({status: 304});
    expect(await since(before!)).toMatchObject({status: 200});
    expect(await since('no date')).toMatchObject({status: 200});
    const headers = {'if-none-match': 'x', 'if-modified-since': future};
    expect(await ask('GET', target, {headers})).toMatchObject({status: 200});
  });

  test('has the same headers under HEAD, and no body', async () => {
    const get = await ask('GET', target);
    const head = await ask('HEAD', target);
    expect(head.status).toBe(200);
    expect(head.body).toHaveLength(0);
    for (const name of ['content-length', 'content-type', 'etag', 'last-modified']) {
      expect(head.headers[name]).toBe(get.headers[name]);
    }
  });
});

describe.each(targets.slice(0, 3))('GET %s', (target) => {
  test('is 412 for another version than the wanted one, by tag or date', async () => {
    const {headers} = await ask('GET', target);
    const wanted = (condition: Record<string, string>) => ask('GET', target, {headers: condition});
    expect(await wanted({'if-match': String(headers.etag)})).toMatchObject({status: 200});
    expect(await wanted({'if-match': 'x'})).toMatchObject({status: 412});
    expect(await wanted({'if-unmodified-since': same!})).toMatchObject({status: 200});
    const answer = await wanted({'if-unmodified-since': before!});
    expect([answer.status, JSON.parse(answer.body.toString())]).toEqual([
      412,
      {
        code: 'PreconditionFailed',
        message: `object was modified at '${same}'; if-unmodified-since '${before}'`,
      },
    ]);
    expect(await wanted({'if-match': '*', 'if-unmodified-since': before!})).toMatchObject({status: 200});
  });
});

test.each(['activate', 'enable', 'disable', 'update', 'acl'])(
  '%s changes nothing under a condition that fails',
  async (action) => {
    const target = action === 'acl' ? `/images/${uuid}/acl` : `/images/${uuid}?action=${action}`;
    const body = action === 'acl' ? JSON.stringify([account]) : '{"name":"b"}';
    const old = await ask('GET', `/images/${uuid}`);
    for (const headers of [{'if-match': 'x'}, {'if-unmodified-since': before!}]) {
      expect(await ask('POST', target, {headers, body})).toMatchObject({status: 412});
    }
    expect(
      await ask('GET', `/images/${uuid}`, {headers: {'if-none-match': String(old.headers.etag)}}),
    ).toMatchObject({status: 304});
    if (action === 'activate') return;
    expect(await ask('POST', target, {headers: {'if-unmodified-since': after!}, body})).toMatchObject({
      status: 200,
    });
  },
);

test('an icon survives a restart, is checked against its type and digest, and never runs as a page', async () => {
  const {headers, body} = await ask('GET', `/images/${uuid}/icon`);
  expect(body.toString()).toBe('picture');
  expect(headers).toMatchObject({
    'content-type': 'image/png',
    'content-md5': createHash('md5').update('picture').digest('base64'),
    'x-content-type-options': 'nosniff',
  });
  const put = (body: string, type: string, query = '') =>
    ask('PUT', `/images/${uuid}/icon${query}`, {body, headers: {'content-type': type}});
  expect(await put('<svg/>', 'image/svg+xml')).toMatchObject({status: 400});
  expect(await put('', 'image/png')).toMatchObject({status: 400});
  expect(await put('x', 'image/png', `?sha1=${'0'.repeat(40)}`)).toMatchObject({status: 400});
  expect(await put('x'.repeat(128 * 1024 + 1), 'image/png')).toMatchObject({status: 400});
  expect((await ask('GET', `/images/${uuid}/icon`)).body.toString()).toBe('picture');
  expect(await ask('DELETE', `/images/${uuid}/icon`)).toMatchObject({status: 200});
  expect(await ask('GET', `/images/${uuid}/icon`)).toMatchObject({status: 404});
});
