import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import type {Pool} from '../../../src/actions/context.ts';
import {listStoredImages} from '../../../src/actions/transfers.ts';
import {RecordStore} from '../../../src/catalog/records.ts';
import {EmbeddedEngine} from '../../../src/engine/embedded/embedded-engine.ts';
import {imageClasses} from '../../../src/import1/image-class.ts';

const uuid = 'aaaaaaaa-3333-4000-8000-000000000001';
let directory: string;
let pools: Pool[];
let engine: EmbeddedEngine;
let records: RecordStore;

beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-stored-'));
  engine = new EmbeddedEngine({runtimeDirectory: path.join(directory, 'run')});
  records = new RecordStore(path.join(directory, 'records'));
  pools = imageClasses.map((imageClass) => {
    const store = {imageClass, directory: path.join(directory, imageClass)};
    mkdirSync(store.directory);
    writeFileSync(path.join(store.directory, 'tools.raw'), 'x');
    return {name: imageClass, store};
  });
  await records.write({
    manifest: {v: 2, uuid, name: 'tools', version: '1', type: 'other', os: 'linux'} as never,
    ...{pool: 'sysext', localName: 'tools', installedAt: '2026-01-01T00:00:00.000Z', instances: []},
    digests: {sha1: '0'.repeat(40), sha256: 'a'.repeat(64), sizeBytes: 1},
    verification: {level: 'checksum'},
  });
});
afterEach(() => rmSync(directory, {recursive: true}));

test('images from sources are listed with what their records say of verification', async () => {
  const images = await listStoredImages(engine, pools, {imageClass: undefined, records});
  expect(images.map(({imageClass, name, verification}) => [imageClass, name, verification?.level])).toEqual([
    ['confext', 'tools', undefined],
    ['machine', '.host', undefined],
    ['machine', 'tools', undefined],
    ['portable', 'tools', undefined],
    ['sysext', 'tools', 'checksum'],
  ]);
});

test('records that cannot be read hide no image', async () => {
  writeFileSync(path.join(directory, 'records', `${uuid}.json`), '{');
  const images = await listStoredImages(engine, pools, {imageClass: 'sysext', records});
  expect(images).toMatchObject([{name: 'tools'}]);
  expect(images[0]).not.toHaveProperty('verification');
});
