import {existsSync, mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {cloneImage} from '../../../src/actions/clone.ts';
import type {ActionContext} from '../../../src/actions/context.ts';
import {deleteImage} from '../../../src/actions/delete.ts';
import {importImage} from '../../../src/actions/import.ts';
import {listInstalled} from '../../../src/actions/installed.ts';
import {type ImageRecord, RecordStore} from '../../../src/catalog/records.ts';
import type {ImageManifest} from '../../../src/manifest/manifest.ts';
import {ActionWorld, tarOf} from '../../support/action-world.ts';
import {type BareServer, bareImage, startBareServer} from '../../support/bare-imgapi.ts';
import {uuidFor} from '../../support/catalogs.ts';

let world: ActionWorld;
let server: BareServer;
const a = uuidFor('a');

beforeEach(async () => {
  world = new ActionWorld();
  server = await startBareServer([bareImage('a', await tarOf('a'))]);
});
afterEach(async () => {
  await world.end();
  await server.close();
});

/** A record store that says when it writes. */
class WatchedRecords extends RecordStore {
  before: () => void | Promise<void> = () => undefined;
  after: () => void | Promise<void> = () => undefined;

  override async write(record: ImageRecord): Promise<void> {
    await this.before();
    await super.write(record);
    await this.after();
  }
}

function watchedRecords(hooks: Partial<Pick<WatchedRecords, 'before' | 'after'>>): WatchedRecords {
  return Object.assign(new WatchedRecords(path.join(world.directory, 'records')), hooks);
}

/** The catalog, with something that happens before an image's row is written. */
function watchedPut(context: ActionContext, before: () => void): ActionContext {
  const put = context.catalog.images.put.bind(context.catalog.images);
  const images = Object.assign(Object.create(context.catalog.images), {
    put: async (record: ImageRecord) => {
      before();
      await put(record);
    },
    list: context.catalog.images.list.bind(context.catalog.images),
    find: context.catalog.images.find.bind(context.catalog.images),
    remove: context.catalog.images.remove.bind(context.catalog.images),
  });
  return {...context, catalog: {...context.catalog, images}};
}

async function installedUuids(): Promise<string[]> {
  return (await listInstalled(await world.context())).map((image) => image.record.manifest.uuid);
}

/** Adds an image with that origin; its bytes are `content` or its own. */
async function offer(name: string, more: Partial<ImageManifest>, content?: Buffer): Promise<string> {
  const image = bareImage(name, content ?? (await tarOf(name)), more);
  server.images.push(image);
  return image.manifest.uuid;
}

describe('an import', () => {
  test('writes the record, then shows the data, then writes the row', async () => {
    const seen: string[] = [];
    const look = (moment: string): void => {
      const isVisible = world.stored().includes(a);
      const isRecorded = world.recordNames().includes(`${a}.json`);
      seen.push(`${moment}: ${isRecorded ? 'record' : '-'} ${isVisible ? 'data' : '-'}`);
    };
    const records = watchedRecords({before: () => look('before'), after: () => look('recorded')});
    const context = watchedPut(await world.context([server.url], {records}), () => look('row'));
    expect(await importImage(context, {text: a})).toEqual({
      action: 'imported',
      uuid: a,
      changed: true,
      installed: [a],
    });
    expect(seen).toEqual(['before: - -', 'recorded: record -', 'row: record data']);
    expect(world.stored()).toEqual([a]);
    expect(readFileSync(path.join(world.directory, 'machine', a, 'etc/name'), 'utf8')).toBe('a\n');
    expect(await context.records.find(a)).toMatchObject({
      pool: 'machine',
      localName: a,
      source: server.url,
      verification: {level: 'checksum'},
      digests: {sizeBytes: server.images[0]?.content.length},
      installedAt: '2026-02-03T04:05:06.000Z',
    });
    expect(world.lines).toEqual([
      `Importing ${a} (a@1.0.0) from "${server.url}"`,
      `Gather image ${a} ancestry`,
      expect.stringMatching(/^Must download and install 1 image \(\d.*\)$/),
      expect.stringMatching(new RegExp(`^Downloaded image ${a} \\(\\d.*\\)$`)),
      `Imported image ${a} (a@1.0.0)`,
    ]);
  });

  test('of an installed image asks nobody; into another pool it is refused', async () => {
    const context = await world.context([server.url]);
    await importImage(context, {text: a});
    const before = server.requests.length;
    expect(await importImage(context, {text: a})).toMatchObject({changed: false, installed: []});
    expect(world.lines.at(-1)).toBe(`Image ${a} (a 1.0.0) is already installed, skipping`);
    await expect(importImage(context, {text: a, poolName: 'portable'})).rejects.toMatchObject({
      code: 'ImageAlreadyExists',
      message: `image "${a}" is already installed on zpool "zones"`,
    });
    await expect(importImage(context, {text: a, poolName: 'none'})).rejects.toMatchObject({
      code: 'InvalidArgument',
    });
    expect(server.requests).toHaveLength(before);
  });

  test.each([
    ['is not offered', uuidFor('none'), 'ActiveImageNotFound'],
    ['is not active', uuidFor('disabled'), 'ActiveImageNotFound'],
    ['is a path', '../../x', 'ActiveImageNotFound'],
  ])('of an image that %s is refused', async (_name, uuid, code) => {
    await offer('disabled', {state: 'disabled'});
    const context = await world.context([server.url]);
    await expect(importImage(context, {text: uuid})).rejects.toMatchObject({code});
    expect(world.stored()).toEqual([]);
  });

  test('under the name imgadm takes UUIDs only', async () => {
    const context = await world.context([server.url], {program: 'imgadm'});
    await expect(importImage(context, {text: 'A'})).rejects.toMatchObject({
      code: 'Usage',
      message: 'invalid image-id arg: "A"',
    });
    expect(server.requests).toEqual([]);
  });

  test('goes to the next source when one fails, and warns', async () => {
    const failing = await startBareServer([]);
    failing.refuseWith = 500;
    const context = await world.context([failing.url, server.url]);
    await importImage(context, {text: a});
    expect(world.warnings).toHaveLength(1);
    expect((await context.records.find(a))?.source).toBe(server.url);
    await failing.close();
  });

  test('that Ctrl-C ends leaves the download and nothing else', async () => {
    const controller = new AbortController();
    const records = watchedRecords({before: () => controller.abort('SIGINT')});
    const context = await world.context([server.url], {records, signal: controller.signal});
    await expect(importImage(context, {text: a})).rejects.toMatchObject({code: 'Interrupted'});
    expect([world.stored(), world.recordNames()]).toEqual([[], []]);
    const before = server.requests.filter((line) => line.endsWith('/file')).length;
    await importImage(await world.context([server.url]), {text: a});
    expect(server.requests.filter((line) => line.endsWith('/file'))).toHaveLength(before);
  });
});

describe('when a step fails, storage, records and catalog agree and the next run succeeds:', () => {
  const fail = (): never => {
    throw Object.assign(new Error('planned'), {code: 'EIO'});
  };
  const inTheWay = (): string => path.join(world.directory, 'machine', a);
  const steps: [name: string, change: (context: ActionContext) => ActionContext, after?: () => void][] = [
    ['the source', (context) => ({...context, sources: [{...context.sources[0]!, findImage: fail}]})],
    ['the download', (context) => ({...context, sources: [failingFetch(context)]})],
    [
      'the engine',
      (context) => ({
        ...context,
        engine: Object.assign(Object.create(context.engine), {
          import: fail,
          listImages: context.engine.listImages.bind(context.engine),
        }),
      }),
    ],
    ['the record', (context) => ({...context, records: watchedRecords({before: fail})})],
    ['what follows the record', (context) => ({...context, records: watchedRecords({after: fail})})],
    [
      'the rename',
      (context) => ({...context, records: watchedRecords({after: () => mkdirSync(inTheWay())})}),
      () => rmSync(inTheWay(), {recursive: true}),
    ],
  ];

  function failingFetch(context: ActionContext): ActionContext['sources'][0] {
    const source = context.sources[0]!;
    return {
      settings: source.settings,
      ping: () => source.ping(),
      listImages: (options) => source.listImages(options),
      findImage: (uuid, options) => source.findImage(uuid, options),
      checkFile: (manifest) => source.checkFile(manifest),
      fetchFile: fail,
    };
  }

  test.each(steps)('%s', async (_name, change, after = () => undefined) => {
    const context = await world.context([server.url]);
    await expect(importImage(change(context), {text: a})).rejects.toThrow();
    after();
    expect([world.stored(), world.recordNames()]).toEqual([[], []]);
    expect(await installedUuids()).toEqual([]);
    await importImage(await world.context([server.url]), {text: a});
    expect(await installedUuids()).toEqual([a]);
    expect(world.stored()).toEqual([a]);
  });

  test('the row', async () => {
    const context = watchedPut(await world.context([server.url]), fail);
    await expect(importImage(context, {text: a})).rejects.toThrow('planned');
    expect([world.stored(), world.recordNames()]).toEqual([[a], [`${a}.json`]]);
    expect(await installedUuids()).toEqual([a]);
    expect(await importImage(await world.context([server.url]), {text: a})).toMatchObject({changed: false});
  });
});

describe('an image with origins', () => {
  test('comes with them, base first, each once', async () => {
    const child = await offer('child', {origin: a});
    const grandchild = await offer('grandchild', {origin: child});
    const context = await world.context([server.url]);
    const result = await importImage(context, {text: grandchild});
    expect(result.installed).toEqual([a, child, grandchild]);
    const imported = world.lines.filter((line) => line.startsWith('Imported'));
    expect(imported.map((line) => line.split(' ')[2])).toEqual([a, child, grandchild]);
    world.lines.length = 0;
    const other = await offer('other', {origin: child});
    expect((await importImage(context, {text: other})).installed).toEqual([other]);
    expect(world.lines).toContain(`Image ${child} already installed`);
  });

  test('may have the very bytes of its origin', async () => {
    const child = await offer('child', {origin: a}, server.images[0]!.content);
    const grandchild = await offer('grandchild', {origin: child}, server.images[0]!.content);
    await importImage(await world.context([server.url]), {text: grandchild});
    expect(world.stored()).toEqual([a, child, grandchild].sort());
    expect(server.requests.filter((line) => line.endsWith('/file'))).toHaveLength(1);
  });

  test('that are missing, or a circle, is refused before the first byte', async () => {
    const orphan = await offer('orphan', {origin: uuidFor('none')});
    const circle = await offer('circle', {origin: uuidFor('back')});
    await offer('back', {origin: circle});
    const itself = await offer('itself', {origin: uuidFor('itself')});
    const context = await world.context([server.url]);
    await expect(importImage(context, {text: orphan})).rejects.toMatchObject({
      code: 'OriginNotFoundInSource',
      message: `origin image "${uuidFor('none')}" does not exist in image source "${server.url}"`,
    });
    for (const uuid of [circle, itself]) {
      await expect(importImage(context, {text: uuid})).rejects.toMatchObject({code: 'InvalidManifest'});
    }
    expect(server.requests.filter((line) => line.endsWith('/file'))).toEqual([]);
    expect(world.stored()).toEqual([]);
  });

  test('keeps those that came when a later one fails', async () => {
    const child = await offer('child', {origin: a}, Buffer.from('1f8b0800deadbeef', 'hex'));
    await expect(importImage(await world.context([server.url]), {text: child})).rejects.toThrow();
    expect(await installedUuids()).toEqual([a]);
    expect(world.recordNames()).toEqual([`${a}.json`]);
  });
});

describe('two at once', () => {
  test('install one image once', async () => {
    const results = await Promise.all([
      importImage(await world.context([server.url]), {text: a}),
      importImage(await world.context([server.url]), {text: a}),
    ]);
    expect(results.map((result) => result.changed).sort()).toEqual([false, true]);
    expect(server.requests.filter((line) => line.endsWith('/file'))).toHaveLength(1);
    expect(world.lines).toContain(`Image ${a} (a@1.0.0) was imported while waiting on lock`);
    expect(existsSync(path.join(world.directory, 'run/locks', `import-${a}.lock`))).toBe(false);
  });

  test('install two images that share an origin', async () => {
    const left = await offer('left', {origin: a});
    const right = await offer('right', {origin: a});
    await Promise.all([
      importImage(await world.context([server.url]), {text: left}),
      importImage(await world.context([server.url]), {text: right}),
    ]);
    expect(await installedUuids()).toEqual([a, left, right].sort());
  });

  test('a delete of the origin is refused while a child of it is on its way, and the image can be cloned', async () => {
    const child = await offer('child', {origin: a});
    await importImage(await world.context([server.url]), {text: a});
    const other = await world.context();
    const records = watchedRecords({
      before: async () => {
        await expect(deleteImage(other, {uuid: a})).rejects.toMatchObject({
          code: 'ImageInUse',
          message: `image "${a}" is in use: it is the origin of an image that is being installed`,
        });
        const before = records.before;
        records.before = () => undefined;
        await cloneImage({...other, records}, {uuid: a, name: 'web1'});
        records.before = before;
      },
    });
    await importImage(await world.context([server.url], {records}), {text: child});
    expect(await installedUuids()).toEqual([a, child].sort());
    expect(world.stored()).toContain('web1');
    await expect(deleteImage(other, {uuid: a})).rejects.toMatchObject({code: 'ImageHasDependentClones'});
  });

  test('an origin that is deleted before the import has locked it is imported again', async () => {
    const child = await offer('child', {origin: a});
    await importImage(await world.context([server.url]), {text: a});
    const context = await world.context([server.url]);
    const other = await world.context();
    let deletions = 0;
    const locks: ActionContext['locks'] = {
      ...context.locks,
      acquire: async (name, options) => {
        if (name === `origin-${a}` && deletions++ === 0) await deleteImage(other, {uuid: a});
        return context.locks.acquire(name, options);
      },
    };
    const result = await importImage({...context, locks}, {text: child});
    expect([deletions, result.installed]).toEqual([1, [a, child]]);
    expect(existsSync(path.join(world.directory, 'run/locks', `origin-${a}.lock`))).toBe(false);
  });
});

test('an incremental image of an unknown kind is refused by name before anything is fetched', async () => {
  const child = await offer('child', {origin: a, tags: {'imgctl:delta': 'from-the-future'}});
  await expect(importImage(await world.context([server.url]), {text: child})).rejects.toMatchObject({
    code: 'NotSupported',
  });
  expect(world.stored()).toEqual([]);
  expect(server.requests.filter((line) => line.endsWith('/file'))).toEqual([]);
});

test('data under the name that nobody recorded is not taken for the image', async () => {
  mkdirSync(path.join(world.directory, 'machine', a), {recursive: true});
  writeFileSync(path.join(world.directory, 'machine', a, 'mine'), '');
  await expect(importImage(await world.context([server.url]), {text: a})).rejects.toThrow(a);
  expect(existsSync(path.join(world.directory, 'machine', a, 'mine'))).toBe(true);
  expect(await installedUuids()).toEqual([]);
});
