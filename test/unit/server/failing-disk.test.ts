/** Whatever write fails while images are added and changed: what the server says is what is on disk, and whole. */
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {createImageServer, type ImageServer} from '../../../src/server/image-server.ts';
import {failOperation} from '../../support/failing-disk.ts';

const uuid = 'aaaaaaaa-1111-4000-8000-000000000001';
const account = '11111111-1111-4111-8111-111111111111';
const manifest = {v: 2, uuid, name: 'a', version: '1', type: 'other', os: 'linux', public: true};

let directory: string;
let server: ImageServer;
let url: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-failing-disk-'));
});

afterEach(() => rmSync(directory, {recursive: true}));

async function start(folder: string): Promise<string[]> {
  const warnings: string[] = [];
  const logger = {info: () => undefined, warn: (text: string) => warnings.push(text)};
  server = await createImageServer({directory: folder, logger});
  ({url} = await server.listen({host: '127.0.0.1', port: 0}));
  return warnings;
}

async function ask(method: string, target: string, body?: string, type = 'application/json') {
  const headers = {'content-type': type, connection: 'close'};
  const answer = await fetch(`${url}/images${target}`, {method, headers, ...(body !== undefined && {body})});
  return {status: answer.status, text: await answer.text()};
}

type Step = () => ReturnType<typeof ask>;

const steps: Record<string, Step> = {
  import: () => ask('POST', `/${uuid}?action=import`, JSON.stringify(manifest)),
  'add file': () => ask('PUT', `/${uuid}/file?compression=none`, 'content'),
  'replace file': () => ask('PUT', `/${uuid}/file?compression=none`, 'another content'),
  'add icon': () => ask('PUT', `/${uuid}/icon`, 'picture', 'image/png'),
  'replace icon': () => ask('PUT', `/${uuid}/icon`, 'another picture', 'image/gif'),
  activate: () => ask('POST', `/${uuid}?action=activate`),
  update: () => ask('POST', `/${uuid}?action=update`, '{"description":"x"}'),
  share: () => ask('POST', `/${uuid}/acl`, JSON.stringify([account])),
  'delete icon': () => ask('DELETE', `/${uuid}/icon`),
  delete: () => ask('DELETE', `/${uuid}`),
};

/** Everything a client can see of the image. */
async function seen(): Promise<string[]> {
  const answers = await Promise.all(
    ['', `/${uuid}`, `/${uuid}/file`, `/${uuid}/icon`].map((target) => ask('GET', target)),
  );
  return answers.map(({status, text}) => `${status} ${text}`);
}

test.each(Object.keys(steps))('%s is done or not done, and can be done again', async (failing) => {
  const earlier = Object.entries(steps).slice(0, Object.keys(steps).indexOf(failing));
  let tries = 0;
  for (let isFailed = true; isFailed; ) {
    tries += 1;
    const folder = path.join(directory, String(tries));
    mkdirSync(folder);
    await start(folder);
    for (const [, step] of earlier) expect((await step()).status).toBeLessThan(300);
    const old = await seen();
    const disk = await failOperation(tries);
    const {status} = await steps[failing]!();
    disk.restore();
    isFailed = disk.hasFailed();
    if (!isFailed) expect(status).toBeLessThan(300);
    const hasChanged = JSON.stringify(await expectWhole(folder)) !== JSON.stringify(old);
    const again = await steps[failing]!();
    // What is done cannot always be done twice.
    if (!hasChanged || ![404, 409, 422].includes(again.status)) expect(again.status).toBeLessThan(300);
    await expectWhole(folder);
    await server.close();
  }
  expect(tries).toBeGreaterThan(1);
});

/** A new server sees the same, nothing is left over, and file and icon are those of the manifest. */
async function expectWhole(folder: string): Promise<string[]> {
  const before = await seen();
  await server.close();
  expect(await start(folder)).toEqual([]);
  expect(await seen()).toEqual(before);
  const names = readdirSync(path.join(folder, 'images'));
  expect(names.filter((name) => name !== uuid)).toEqual([]);
  const [, image = '', file = ''] = before;
  const {files = [], description} = JSON.parse(image.slice(4)) as {
    files?: {size: number}[];
    description?: string;
  };
  expect(description ?? 'x').toBe('x');
  if (files.length > 0) expect(file.slice(4)).toHaveLength(files[0]!.size);
  if (names.length > 0) JSON.parse(readFileSync(path.join(folder, 'images', uuid, 'manifest.json'), 'utf8'));
  return before;
}
