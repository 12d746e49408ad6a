import {mkdirSync, rmSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest';
import {cloneImage} from '../../../src/actions/clone.ts';
import type {ActionContext} from '../../../src/actions/context.ts';
import {deleteImage} from '../../../src/actions/delete.ts';
import {importImage} from '../../../src/actions/import.ts';
import {type InstallOptions, installFromFile} from '../../../src/actions/install.ts';
import {getImage, listImages} from '../../../src/actions/list.ts';
import {RecordStore} from '../../../src/catalog/records.ts';
import {removeTree} from '../../../src/sys/remove-tree.ts';
import {ActionWorld, tarOf} from '../../support/action-world.ts';
import {type BareServer, bareImage, startBareServer} from '../../support/bare-imgapi.ts';
import {recordFor, uuidFor} from '../../support/catalogs.ts';

let world: ActionWorld;
let server: BareServer;
const a = uuidFor('a');
const b = uuidFor('b');

beforeEach(async () => {
  world = new ActionWorld();
  server = await startBareServer([
    bareImage('a', await tarOf('a')),
    bareImage('b', await tarOf('b'), {origin: a}),
  ]);
});
afterEach(async () => {
  await world.end();
  await server.close();
});

async function importAll(...uuids: string[]): Promise<ActionContext> {
  const context = await world.context([server.url]);
  for (const uuid of uuids) await importImage(context, {text: uuid});
  return context;
}

/** What a new process lists: UUIDs and who depends on them. */
async function listed(): Promise<Record<string, string[]>> {
  const images = await listImages(await world.context());
  return Object.fromEntries(images.map((image) => [image.manifest.uuid, image.cloneNames]));
}

function place(...names: string[]): string {
  return path.join(world.directory, ...names);
}

describe('what is installed', () => {
  test('is the same after the catalog was deleted between two commands', async () => {
    const context = await importAll(b);
    await cloneImage(context, {uuid: a, name: 'web1'});
    await context.catalog.close();
    const before = {[a]: ['zones/web1', `zones/${b}`], [b]: []};
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${world.catalogFile}${suffix}`, {force: true});
    const world2 = await world.context();
    expect(
      Object.fromEntries((await listImages(world2)).map((i) => [i.manifest.uuid, i.cloneNames])),
    ).toEqual(before);
    expect(await listed()).toEqual(before);
    context.catalog.close = async () => undefined;
  });

  test('is not a record without data, and the record is taken over by the next import', async () => {
    const context = await importAll(a);
    await removeTree(place('machine', a));
    expect(await listed()).toEqual({});
    await expect(getImage(context, {uuid: a, withChildren: false})).rejects.toMatchObject({
      code: 'ImageNotInstalled',
      message: `image "${a}" was not found on zpool "zones"`,
    });
    expect(await importImage(context, {text: a})).toMatchObject({changed: true});
    expect(await listed()).toEqual({[a]: []});
  });

  test('is not data without a record, nor a row without one', async () => {
    await importAll(a);
    rmSync(place('records', `${a}.json`));
    expect(await listed()).toEqual({});
    const context = await world.context();
    expect(await context.catalog.images.list()).toEqual([]);
  });

  test('is not a record of a pool that is not configured', async () => {
    const context = await world.context();
    await context.records.write(recordFor('a', {pool: 'gone'}));
    expect(await listed()).toEqual({});
    await expect(getImage(context, {uuid: a, withChildren: true})).rejects.toMatchObject({
      code: 'ImageNotInstalled',
    });
  });

  test('is one image for one name: the last that was installed under it', async () => {
    const context = await world.context([server.url]);
    server.images = [
      bareImage('one', await tarOf('one'), {name: 'app'}),
      bareImage('two', await tarOf('two'), {name: 'app'}),
    ];
    server.images.forEach((image, index) => {
      image.manifest.uuid = uuidFor(['one', 'two'][index] ?? '');
    });
    const [one, two] = [uuidFor('one'), uuidFor('two')];
    await importImage(context, {text: one, poolName: 'portable'});
    expect(world.stored('portable')).toEqual(['app']);
    await expect(importImage(context, {text: two, poolName: 'portable'})).rejects.toThrow('app');
    expect(await listed()).toEqual({[one]: []});
    await removeTree(place('portable', 'app'));
    await importImage(context, {text: two, poolName: 'portable'});
    expect(await listed()).toEqual({[two]: []});
    await expect(getImage(context, {uuid: one, withChildren: false})).rejects.toMatchObject({
      code: 'ImageNotInstalled',
    });
  });

  test('is found in its pool only, when a pool is named', async () => {
    const context = await importAll(a);
    expect(await getImage(context, {uuid: a, poolName: 'zones', withChildren: true})).toMatchObject({
      zpool: 'zones',
      source: server.url,
      children: {snapshots: [], clones: []},
    });
    await expect(
      getImage(context, {uuid: a, poolName: 'portable', withChildren: false}),
    ).rejects.toMatchObject({
      code: 'ImageNotInstalled',
      message: `image "${a}" was not found on zpool "portable"`,
    });
    await expect(getImage(context, {uuid: 'x', withChildren: false})).rejects.toMatchObject({
      code: 'InvalidUUID',
    });
  });
});

describe('a clone', () => {
  test('is a writable copy that the image knows, until it is gone', async () => {
    const context = await importAll(a);
    const {path: instance} = await cloneImage(context, {uuid: a, name: 'web1'});
    writeFileSync(path.join(instance, 'etc/mine'), 'mine');
    expect(await listed()).toEqual({[a]: ['zones/web1']});
    await removeTree(instance);
    expect(await listed()).toEqual({[a]: []});
    await cloneImage(context, {uuid: a, name: 'web1'});
    expect((await context.records.find(a))?.instances).toHaveLength(1);
  });

  test.each([
    ['a taken name', 'web1', 'InstanceExists'],
    ['a path', '../web2', 'InvalidArgument'],
    ['the name of the image', a, 'InstanceExists'],
  ])('under %s is refused and not recorded', async (_name, name, code) => {
    const context = await importAll(a);
    await cloneImage(context, {uuid: a, name: 'web1'});
    await expect(cloneImage(context, {uuid: a, name})).rejects.toMatchObject({code});
    expect(await listed()).toEqual({[a]: ['zones/web1']});
    expect(world.stored()).toEqual([a, 'web1'].sort());
  });

  test('of an image that is not installed is refused', async () => {
    await expect(cloneImage(await world.context(), {uuid: a, name: 'x'})).rejects.toMatchObject({
      code: 'ImageNotInstalled',
    });
  });

  test('that died between record and row shows all the same', async () => {
    const context = await importAll(a);
    const images = Object.assign(Object.create(context.catalog.images), {
      list: context.catalog.images.list.bind(context.catalog.images),
      listBrief: context.catalog.images.listBrief.bind(context.catalog.images),
      remove: context.catalog.images.remove.bind(context.catalog.images),
      put: () => Promise.reject(new Error('planned')),
    });
    const failing = {...context, catalog: {...context.catalog, images}};
    await expect(cloneImage(failing, {uuid: a, name: 'web1'})).rejects.toThrow('planned');
    expect(world.stored()).toEqual([a]);
    expect(await listed()).toEqual({[a]: []});
    mkdirSync(place('machine', 'web1'));
    expect(await listed()).toEqual({[a]: ['zones/web1']});
  });
});

describe('delete', () => {
  test('removes data, record and row', async () => {
    const context = await importAll(a);
    expect(await deleteImage(context, {uuid: a})).toEqual({action: 'deleted', uuid: a, changed: true});
    expect([world.stored(), world.recordNames(), await context.catalog.images.list()]).toEqual([[], [], []]);
    expect(world.lines.at(-1)).toBe(`Deleted image ${a}`);
    await expect(deleteImage(context, {uuid: a})).rejects.toMatchObject({code: 'ImageNotInstalled'});
  });

  test('refuses while children or instances depend on the image', async () => {
    const context = await importAll(b);
    await cloneImage(context, {uuid: a, name: 'web1'});
    await expect(deleteImage(context, {uuid: a})).rejects.toMatchObject({
      code: 'ImageHasDependentClones',
      message: `image "${a}" has dependent clones: zones/web1 and 1 others...`,
      hint: `see them with: imgctl get -r ${a}`,
    });
    await deleteImage(context, {uuid: b});
    await removeTree(place('machine', 'web1'));
    await deleteImage(context, {uuid: a});
    expect(world.stored()).toEqual([]);
  });

  test('looks in the pool that is named, and leaves the image elsewhere alone', async () => {
    const context = await importAll(a);
    await expect(deleteImage(context, {uuid: a, poolName: 'portable'})).rejects.toMatchObject({
      code: 'ImageNotInstalled',
    });
    expect(world.stored()).toEqual([a]);
  });

  test.each(['record', 'row'])('that dies before the %s is gone is ended by itself', async (step) => {
    const context = await importAll(a);
    const fail = () => Promise.reject(new Error('planned'));
    const records = Object.assign(new RecordStore(place('records')), step === 'record' && {remove: fail});
    const images = Object.assign(Object.create(context.catalog.images), {
      list: context.catalog.images.list.bind(context.catalog.images),
      listBrief: context.catalog.images.listBrief.bind(context.catalog.images),
      remove: fail,
    });
    const failing = {...context, records, catalog: {...context.catalog, images}};
    await expect(deleteImage(failing, {uuid: a})).rejects.toThrow('planned');
    expect(await listed()).toEqual({});
    expect(await importImage(await world.context([server.url]), {text: a})).toMatchObject({changed: true});
    expect(await listed()).toEqual({[a]: []});
  });
});

describe('install', () => {
  const image = async (name: string, more = {}) => bareImage(name, await tarOf(name), more);

  async function files(name: string, manifest: object | string, content: Buffer): Promise<InstallOptions> {
    const manifestPath = place(`${name}.imgmanifest`);
    const filePath = place(`${name}.tar`);
    writeFileSync(manifestPath, typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
    writeFileSync(filePath, content);
    return {manifestPath, filePath, cwd: world.directory};
  }

  test('takes a manifest and its file; a second time it has nothing to do', async () => {
    const {manifest, content} = await image('c');
    const {published_at: _, ...undated} = manifest;
    const context = await world.context();
    const paths = await files('c', undated, content);
    expect(await installFromFile(context, paths)).toEqual({
      action: 'installed',
      uuid: manifest.uuid,
      changed: true,
    });
    expect((await context.records.find(manifest.uuid))?.manifest.published_at).toBe(
      '2026-02-03T04:05:06.000Z',
    );
    expect((await listImages(context))[0]).not.toHaveProperty('source');
    expect(await installFromFile(context, paths)).toMatchObject({changed: false});
    expect(world.lines.at(-1)).toBe(`Image ${manifest.uuid} (c 1.0.0) is already installed, skipping`);
  });

  test('keeps the origin from being deleted until the image is there', async () => {
    const context = await importAll(a);
    const {manifest, content} = await image('c', {origin: a});
    const records = new RecordStore(place('records'));
    const write = records.write.bind(records);
    const refused = vi.fn();
    records.write = async (record) => {
      await deleteImage(await world.context(), {uuid: a}).catch((error) => refused(error.code));
      await write(record);
    };
    await installFromFile({...context, records}, await files('c', manifest, content));
    expect(refused).toHaveBeenCalledWith('ImageInUse');
    expect(Object.keys(await listed())).toEqual([a, manifest.uuid].sort());
  });

  test.each([
    [
      'a file of another size',
      {},
      'x',
      'DownloadError',
      /^image file size error: manifest says \d+ bytes, .* is \d+ bytes$/,
    ],
    [
      'an origin that is not here',
      {origin: uuidFor('none')},
      '',
      'OriginNotInstalled',
      /^origin image ".*" was not found on zpool "zones"$/,
    ],
    ['a bad UUID', {uuid: 'x'}, '', 'InvalidUUID', /^invalid uuid: "x"$/],
    [
      'a manifest without an os',
      {os: undefined},
      '',
      'ManifestValidation',
      /^invalid manifest: os \(MissingParameter\)$/,
    ],
    ['a manifest without a version', {v: undefined}, '', 'InvalidManifest', /"v" field/],
  ])('refuses %s', async (_name, more, suffix, code, message) => {
    const {manifest, content} = await image('c', more);
    const paths = await files('c', {...manifest, ...more}, Buffer.concat([content, Buffer.from(suffix)]));
    await expect(installFromFile(await world.context(), paths)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect([world.stored(), world.recordNames()]).toEqual([[], []]);
  });

  test('refuses a file with other bytes, files that are not there, and a manifest that is no JSON', async () => {
    const {manifest, content} = await image('c');
    const context = await world.context();
    const paths = await files('c', manifest, Buffer.alloc(content.length, 1));
    await expect(installFromFile(context, paths)).rejects.toMatchObject({
      code: 'DownloadError',
      message: expect.stringMatching(
        /^image file checksum \(sha1\) error: manifest says ".{40}", .* is ".{40}"$/,
      ),
    });
    await expect(installFromFile(context, {...paths, filePath: '/none'})).rejects.toMatchObject({
      code: 'Usage',
      message: 'file path does not exist: "/none"',
    });
    await expect(installFromFile(context, {...paths, manifestPath: '/none'})).rejects.toMatchObject({
      code: 'Usage',
      message: 'manifest path does not exist: "/none"',
    });
    const noJson = await files('d', '{"v":', content);
    await expect(installFromFile(context, noJson)).rejects.toMatchObject({code: 'InvalidManifest'});
    await expect(installFromFile(context, {...paths, filePath: world.directory})).rejects.toMatchObject({
      code: expect.stringMatching(/^[A-Z][a-z]/),
    });
  });
});
