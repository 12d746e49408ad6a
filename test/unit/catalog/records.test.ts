import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {RecordStore} from '../../../src/catalog/records.ts';
import {recordFor, uuidFor} from '../../support/catalogs.ts';

let directory: string;
let records: RecordStore;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-records-'));
  records = new RecordStore(path.join(directory, 'records'));
});
afterEach(() => rmSync(directory, {recursive: true, force: true}));

function fileOf(name: string): string {
  return path.join(directory, 'records', `${uuidFor(name)}.json`);
}

describe('a record', () => {
  test('is written whole, read back, replaced and removed', async () => {
    expect(await records.listUuids()).toEqual([]);
    expect(await records.find(uuidFor('a'))).toBeUndefined();
    await records.write(recordFor('a'));
    await records.write(recordFor('b'));
    const changed = recordFor('a', {instances: [{name: 'web', createdAt: '2026-01-01T00:00:00.000Z'}]});
    await records.write(changed);
    expect(await records.find(uuidFor('a'))).toEqual(changed);
    expect((await records.listUuids()).sort()).toEqual([uuidFor('a'), uuidFor('b')].sort());
    expect(readFileSync(fileOf('a'), 'utf8')).toBe(`${JSON.stringify(changed, null, 2)}\n`);
    await records.remove(uuidFor('a'));
    await records.remove(uuidFor('a'));
    expect(readdirSync(path.join(directory, 'records'))).toEqual([`${uuidFor('b')}.json`]);
  });

  test('written by many at once is always one of them', async () => {
    const versions = Array.from({length: 10}, (_, index) => recordFor('a', {localName: `name${index}`}));
    await Promise.all(versions.map((version) => records.write(version)));
    expect(versions).toContainEqual(await records.find(uuidFor('a')));
    expect(readdirSync(path.join(directory, 'records'))).toEqual([`${uuidFor('a')}.json`]);
  });

  test('without instances, as an older program wrote it, has none', async () => {
    await records.write(recordFor('a'));
    const {instances: _, ...older} = recordFor('a');
    writeFileSync(fileOf('a'), JSON.stringify(older));
    expect((await records.find(uuidFor('a')))?.instances).toEqual([]);
  });

  test.each([
    ['is no JSON', 'not JSON'],
    ['is empty', ''],
    ['is null', 'null'],
    ['is of another image', JSON.stringify(recordFor('b'))],
    ['has no pool', JSON.stringify({...recordFor('a'), pool: undefined})],
    ['has instances that are none', JSON.stringify({...recordFor('a'), instances: [{}]})],
    ['has a local name that is a path', JSON.stringify({...recordFor('a'), localName: '../../etc'})],
  ])('that %s is an error that names it', async (_name, text) => {
    await records.write(recordFor('a'));
    writeFileSync(fileOf('a'), text);
    await expect(records.find(uuidFor('a'))).rejects.toMatchObject({
      code: 'FileSystem',
      message: expect.stringContaining(`cannot read record "${fileOf('a')}": `),
    });
  });

  test('that cannot be written leaves the old one and no other file', async () => {
    await records.write(recordFor('a'));
    rmSync(fileOf('a'));
    mkdirSync(path.join(fileOf('a'), 'in the way'), {recursive: true});
    await expect(records.write(recordFor('a'))).rejects.toMatchObject({code: 'FileSystem'});
    expect(readdirSync(path.join(directory, 'records'))).toEqual([`${uuidFor('a')}.json`]);
  });
});

describe('names that are no UUIDs', () => {
  test.each([
    '../../victim',
    '..',
    '',
    `${uuidFor('a')}/../x`,
    uuidFor('a').toUpperCase(),
    `${uuidFor('a')}\0`,
  ])('%j never reaches a file', async (name) => {
    mkdirSync(path.join(directory, 'records'));
    writeFileSync(path.join(directory, 'victim.json'), '{}');
    expect(await records.find(name)).toBeUndefined();
    await expect(records.remove(name)).rejects.toMatchObject({code: 'InvalidUUID'});
    const record = recordFor('a');
    await expect(
      records.write({...record, manifest: {...record.manifest, uuid: name}}),
    ).rejects.toMatchObject({code: 'InvalidUUID'});
    expect(readdirSync(directory).sort()).toEqual(['records', 'victim.json']);
  });

  test('in the directory are passed over, temporary ones too', async () => {
    await records.write(recordFor('a'));
    for (const name of ['x.json', `.#${uuidFor('b')}.1`, `${uuidFor('b')}.json~`, 'README']) {
      writeFileSync(path.join(directory, 'records', name), '');
    }
    expect(await records.listUuids()).toEqual([uuidFor('a')]);
  });
});

test('a directory that is none is an error with its name', async () => {
  writeFileSync(path.join(directory, 'records'), '');
  await expect(records.listUuids()).rejects.toMatchObject({
    code: 'FileSystem',
    message: expect.stringContaining(`"${directory}/records"`),
  });
  await expect(records.write(recordFor('a'))).rejects.toMatchObject({code: 'FileSystem'});
});
