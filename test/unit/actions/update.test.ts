import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {closeSync, mkdirSync, openSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {cloneImage} from '../../../src/actions/clone.ts';
import type {ActionContext} from '../../../src/actions/context.ts';
import {importImage} from '../../../src/actions/import.ts';
import {updateImages} from '../../../src/actions/update.ts';
import {ActionWorld, tarOf} from '../../support/action-world.ts';
import {type BareServer, bareImage, startBareServer} from '../../support/bare-imgapi.ts';
import {uuidFor} from '../../support/catalogs.ts';

let world: ActionWorld;
let server: BareServer;
let context: ActionContext;
const a = uuidFor('a');
const b = uuidFor('b');

beforeEach(async () => {
  world = new ActionWorld();
  server = await startBareServer([bareImage('a', await tarOf('a')), bareImage('b', await tarOf('b'))]);
  context = await world.context([server.url]);
});
afterEach(async () => {
  await world.end();
  await server.close();
});

test('an update keeps what only the record knows: instances, mark, digests', async () => {
  await importImage(context, {text: a});
  await cloneImage(context, {uuid: a, name: 'web1'});
  const before = (await context.records.find(a))!;
  server.images[0]!.manifest = {...before.manifest, description: 'new', state: 'disabled'};
  world.lines.length = 0;
  expect(await updateImages(context, {uuids: [], dryRun: false})).toMatchObject({
    changed: true,
    images: [{uuid: a, fields: ['state', 'description'], added: false}],
  });
  expect(await context.records.find(a)).toEqual({...before, manifest: server.images[0]!.manifest});
  expect(world.lines).toEqual([
    `Updated 2 manifest fields for image ${a} from "${server.url}": state, description`,
  ]);
});

test('a source that has another file under the UUID of an installed image is warned about and changes nothing', async () => {
  await importImage(context, {text: a});
  const before = (await context.records.find(a))!;
  const [file] = before.manifest.files!;
  const files = [{...file!, sha1: '0'.repeat(40)}];
  server.images[0]!.manifest = {...before.manifest, description: 'new', files};
  expect(await updateImages(context, {uuids: [], dryRun: false})).toMatchObject({changed: false, images: []});
  expect(await context.records.find(a)).toEqual(before);
  expect(world.warnings.join()).toContain(`offers another file as image ${a} than the one that is installed`);
});

test('the source that answers becomes the image’s source, silently', async () => {
  await importImage(context, {text: a});
  const other = await startBareServer([server.images[0]!]);
  try {
    world.lines.length = 0;
    const moved = await world.context([other.url]);
    expect(await updateImages(moved, {uuids: [a], dryRun: true})).toMatchObject({changed: false});
    expect(await context.records.find(a)).toMatchObject({source: server.url});
    expect(await updateImages(moved, {uuids: [a], dryRun: false})).toMatchObject({changed: false});
    expect(await context.records.find(a)).toMatchObject({source: other.url});
    expect(world.lines).toEqual([]);
  } finally {
    await other.close();
  }
});

test('a disk that has the name of an image and is in use is not taken for it', async () => {
  mkdirSync(path.join(world.directory, 'machine'));
  const disk = path.join(world.directory, 'machine', `${b}.raw`);
  writeFileSync(disk, 'a machine of somebody');
  const fd = openSync(disk, 'r');
  const machine = spawn('sleep', ['100'], {stdio: [fd, 'ignore', 'ignore']});
  closeSync(fd);
  await once(machine, 'spawn');
  try {
    expect(await updateImages(context, {uuids: [], dryRun: false})).toMatchObject({images: []});
  } finally {
    machine.kill();
    await once(machine, 'exit');
  }
  expect(world.warnings).toEqual([
    expect.stringMatching(
      `^"${b}" is not taken for image ${b}: it is in use: used by process \\d+ \\(sleep\\)$`,
    ),
  ]);
  expect(await context.records.find(b)).toBeUndefined();
  expect(await updateImages(context, {uuids: [b], dryRun: false})).toMatchObject({images: [{added: true}]});
  expect(await context.records.find(b)).toMatchObject({source: server.url, verification: {level: 'none'}});
});

test('an instance that has the name of an image is not taken for it', async () => {
  await importImage(context, {text: a});
  await cloneImage(context, {uuid: a, name: b});
  expect(await updateImages(context, {uuids: [], dryRun: false})).toMatchObject({images: [], notOffered: []});
  await expect(updateImages(context, {uuids: [b], dryRun: false})).rejects.toMatchObject({
    code: 'Usage',
    message: `no installed image with the given UUID(s): ${b}`,
  });
});
