import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {createImageServer, type ImageServer} from '../../../src/server/image-server.ts';

const older = 'aaaaaaaa-1111-4000-8000-000000000001';
const newer = 'aaaaaaaa-1111-4000-8000-000000000002';

let directory: string;
let server: ImageServer | undefined;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-channels-'));
});

afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(directory, {recursive: true});
});

function keepImage(uuid: string, more: object = {}): void {
  const manifest = {
    v: 2,
    uuid,
    name: 'a',
    version: '1',
    type: 'other',
    os: 'linux',
    public: true,
    state: 'active',
  };
  const owner = '11111111-1111-4111-8111-111111111111';
  const folder = path.join(directory, 'images', uuid);
  mkdirSync(folder, {recursive: true});
  const published_at = '2026-01-02T03:04:05.000Z';
  writeFileSync(
    path.join(folder, 'manifest.json'),
    JSON.stringify({...manifest, owner, published_at, ...more}),
  );
}

async function start(channels: unknown): Promise<string> {
  const text = typeof channels === 'string' ? channels : JSON.stringify(channels);
  writeFileSync(path.join(directory, 'channels.json'), text);
  server = await createImageServer({directory});
  return (await server.listen({host: '127.0.0.1', port: 0})).url;
}

async function ask(url: string, method = 'GET', body?: object): Promise<{status: number; json: unknown}> {
  const init = {method, headers: {'accept-version': '~2'}, ...(body && {body: JSON.stringify(body)})};
  const answer = await fetch(url, init);
  const text = await answer.text();
  return {status: answer.status, json: text === '' ? undefined : JSON.parse(text)};
}

test.each([
  ['no JSON', '[{"name": "dev"', /cannot be read/],
  ['no list', {name: 'dev'}, /must be a list/],
  ['an empty list', [], /must be a list/],
  ['a name in capitals', [{name: 'Dev'}], /channel name "Dev"/],
  ['no name', [null], /channel name undefined/],
  ['the name for all', [{name: '*'}], /channel name "\*"/],
  ['a description that is none', [{name: 'dev', description: 1}], /description of channel "dev"/],
  ['a default of false', [{name: 'dev', default: false}], /can only be true/],
  ['one channel twice', [{name: 'dev'}, {name: 'dev'}], /twice/],
  [
    'two defaults',
    [
      {name: 'dev', default: true},
      {name: 'x', default: true},
    ],
    /two channels/,
  ],
])('a channels file with %s is named when the server starts', async (_, channels, message) => {
  await expect(start(channels)).rejects.toMatchObject({
    code: 'ConfigError',
    message: expect.stringMatching(message),
  });
});

test('without a default channel every request has to name one', async () => {
  keepImage(older, {channels: ['dev']});
  const url = await start([{name: 'dev'}]);
  const error = {code: 'ValidationFailed', errors: [{field: 'channel', code: 'MissingParameter'}]};
  for (const target of ['/images', `/images/${older}`, `/images/${older}/file`, `/images/${older}/icon`]) {
    expect(await ask(url + target)).toMatchObject({status: 422, json: error});
  }
  expect(await ask(`${url}/images?channel=dev`)).toMatchObject({json: [{uuid: older, channels: ['dev']}]});
  expect(await ask(`${url}/channels`)).toEqual({status: 200, json: [{name: 'dev'}]});
});

test('an image from before the channels is in the default one, and can go on from there', async () => {
  keepImage(older);
  const url = await start([{name: 'dev', default: true}, {name: 'release'}]);
  expect(await ask(`${url}/images`)).toMatchObject({json: [{uuid: older}]});
  expect(await ask(`${url}/images?channel=release`)).toMatchObject({json: []});
  const added = await ask(`${url}/images/${older}?action=channel-add`, 'POST', {channel: 'release'});
  expect(added).toMatchObject({status: 200, json: {channels: ['dev', 'release']}});
  expect(await ask(`${url}/images/${older}`, 'DELETE')).toMatchObject({status: 204});
  expect(await ask(`${url}/images`)).toMatchObject({json: []});
  expect(await ask(`${url}/images?channel=*`)).toMatchObject({json: [{uuid: older, channels: ['release']}]});
});

test('an image leaves a channel unless increments of it are there; it is not deleted while any increment is left', async () => {
  keepImage(older, {channels: ['dev', 'release']});
  keepImage(newer, {channels: ['dev'], origin: older});
  const url = await start([{name: 'dev', default: true}, {name: 'release'}]);
  const refusal = {status: 422, json: {code: 'ImageHasDependentImages'}};
  expect(await ask(`${url}/images/${older}`, 'DELETE')).toMatchObject(refusal);
  expect(await ask(`${url}/images/${older}?force_all_channels=true`, 'DELETE')).toMatchObject(refusal);
  expect(await ask(`${url}/images/${older}?channel=release`, 'DELETE')).toMatchObject({status: 204});
  expect(await ask(`${url}/images/${older}`, 'DELETE')).toMatchObject(refusal);
  expect(await ask(`${url}/images/${newer}`, 'DELETE')).toMatchObject({status: 204});
  expect(await ask(`${url}/images/${older}`, 'DELETE')).toMatchObject({status: 204});
  expect(await ask(`${url}/images/${older}?channel=*`)).toMatchObject({status: 404});
});
