/** Tables that SQLite draws are those that are drawn row by row, to the byte; and only what is sure is drawn so. */
import {cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import type {Pool} from '../../../src/actions/context.ts';
import {listImages} from '../../../src/actions/list.ts';
import {listImagesText} from '../../../src/actions/list-text.ts';
import type {Catalog} from '../../../src/catalog/catalog.ts';
import {type ImageRecord, RecordStore} from '../../../src/catalog/records.ts';
import {
  drawRows,
  type ListFlagValues,
  selectRows,
  textQuestion,
  wantedRows,
} from '../../../src/cli/list-flags.ts';
import {holdsImages, readImageNames} from '../../../src/engine/embedded/image-names.ts';
import type {ImageManifest} from '../../../src/manifest/manifest.ts';
import {otherNames} from '../../../src/sys/missing-names.ts';
import {manifestFor, openTestCatalog, recordFor, uuidFor} from '../../support/catalogs.ts';

const count = 520;
const defaultColumns = ['uuid', 'name', 'version', 'os', 'published'];
const look = {terminalColumns: 80};

type Line = Partial<ListFlagValues> & {filters?: string[]};

function manifestNumber(index: number): ImageManifest {
  const manifest = manifestFor(index % 3 === 0 ? 'base' : `Image-${index % 40}`, {
    uuid: uuidFor(`image ${index}`),
    version: `1.${index % 7}`,
    os: index % 50 === 0 ? 'windows' : 'linux',
    // Some at the same moment, and not all to the millisecond.
    published_at: new Date(Date.UTC(2026, 0, 1) + Math.floor(index / 2) * 3_600_000)
      .toISOString()
      .replace(index % 4 === 0 ? /\.000Z$/ : 'never', 'Z'),
  });
  if (index % 50 === 7) delete manifest.published_at;
  return manifest;
}

const lines: Line[] = [
  {},
  {'no-header': true},
  {sort: '-published_at'},
  {sort: 'os,-name,uuid'},
  {sort: '-uuid'},
  {columns: 'uuid'},
  {columns: 'published,name,pub,published_at,published_date,type', sort: 'name'},
  {columns: 'uuid,uuid,os', sort: '-published_at,name'},
  {filters: ['os!=windows']},
];

function flagsOf(line: Line): ListFlagValues & {json: boolean} {
  return {'no-header': false, columns: undefined, sort: undefined, wide: false, json: false, ...line};
}

let directory: string;
let base: string;
let root: string;
let catalog: Catalog;

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-list-text-'));
  base = path.join(directory, 'base');
  mkdirSync(path.join(base, 'records'), {recursive: true});
  mkdirSync(path.join(base, 'other'));
  const filled = await openTestCatalog(base);
  for (let index = 0; index < count; index++)
    await install(base, filled, recordFor('any', {manifest: manifestNumber(index), ...named(index)}));
  await filled.close();
  await openWorld(base);
});
afterAll(async () => {
  await catalog.close();
  rmSync(directory, {recursive: true});
});

async function openWorld(place: string): Promise<void> {
  root = place;
  catalog = await openTestCatalog(place);
}

function named(index: number): Pick<ImageRecord, 'localName'> {
  return {localName: uuidFor(`image ${index}`)};
}

async function install(place: string, into: Catalog, record: ImageRecord): Promise<void> {
  writeFileSync(path.join(place, 'records', `${record.manifest.uuid}.json`), JSON.stringify(record));
  mkdirSync(path.join(place, record.pool, record.localName), {recursive: true});
  await into.images.put(record);
}

async function both(line: Line): Promise<{text: string | undefined; drawn: string}> {
  const pools: Pool[] = ['machine', 'other'].map((name) => {
    return {name, store: {imageClass: 'machine', directory: path.join(root, name)}};
  });
  const context = {
    ...{catalog, pools, records: new RecordStore(path.join(root, 'records'))},
    engine: {listImages: async (store: Pool['store']) => readImageNames(store), holds: holdsImages},
    openCompare: async () => otherNames,
    report: {warn: () => undefined} as never,
  };
  const flags = flagsOf(line);
  const {filters = []} = line;
  const question = textQuestion(flags, filters, defaultColumns);
  const text = question && (await listImagesText(context, question));
  const {byDate} = wantedRows(flags, filters, defaultColumns);
  const rows = selectRows(await listImages(context, {all: false, brief: {byDate}}), flags, filters);
  return {text, drawn: drawRows(rows, flags, {defaultColumns, look})};
}

const first = (): string => uuidFor('image 0');

/** What is in the world besides; whether the table can then be drawn by SQLite. */
const worlds: [what: string, isDrawn: boolean, change: () => unknown][] = [
  ['nothing else', true, () => undefined],
  ['an ignored image', true, () => installed({ignored: true})],
  ['an image in another pool', true, () => installed({pool: 'other'})],
  ['an image with a name of its own', true, () => installed({localName: 'by-name.1'})],
  ['a raw image', true, () => renameTo(first(), `${first()}.raw`, true)],
  ['instances, images by hand and what is none', true, () => byHand()],
  ['records that are set aside or half written', true, () => besideRecords()],
  ['a file where a directory is no more', false, () => renameTo(first(), first(), true)],
  ['data behind a symbolic link', false, () => renameTo(first(), 'moved', false)],
  ['data that is gone', false, () => rmSync(path.join(root, 'machine', first()), {recursive: true})],
  ['a record that is gone', false, () => rmSync(path.join(root, 'records', `${first()}.json`))],
  ['a record the catalog does not know', false, () => catalog.images.remove(first())],
  ['an image in a pool that is not configured', false, () => installed({pool: 'gone'})],
  ['a name no image can have', false, () => installed({localName: '.hidden'})],
  ['a name with an accent', false, () => installed({}, {name: 'b\u00e4se'})],
  ['a name of wide characters', false, () => installed({}, {name: '\u6728'})],
  ['a name with an escape', false, () => installed({}, {name: 'base\u001b[1m'})],
  ['a name of two lines', false, () => installed({}, {name: 'base\nbase'})],
  ['a name with a NUL', false, () => installed({}, {name: 'base\u0000'})],
  ['a name that is a number', false, () => installed({}, {name: '1e1'})],
  ['a name that is infinite', false, () => installed({}, {name: 'Infinity '})],
  ['an empty name', false, () => installed({}, {name: ''})],
  ['a date that is none', false, () => installed({}, {published_at: '12.5'})],
];

function installed(more: Partial<ImageRecord>, fields: Partial<ImageManifest> = {}): Promise<void> {
  const manifest = {...manifestNumber(3), uuid: uuidFor('one more'), ...fields};
  return install(root, catalog, recordFor('any', {manifest, localName: manifest.uuid, ...more}));
}

function renameTo(from: string, to: string, isFile: boolean): void {
  const machines = path.join(root, 'machine');
  renameSync(path.join(machines, from), path.join(root, 'aside'));
  if (isFile) writeFileSync(path.join(machines, to), '');
  else symlinkSync('../aside', path.join(machines, from));
}

function byHand(): void {
  for (const name of ['web1', '.hidden', 'many.v', 'wörld', `${first()}0`])
    mkdirSync(path.join(root, 'machine', name));
  for (const name of ['disk.raw', 'notes.txt', '.#half']) writeFileSync(path.join(root, 'machine', name), '');
  symlinkSync('nowhere', path.join(root, 'machine', 'link'));
}

function besideRecords(): void {
  mkdirSync(path.join(root, 'records/aside'));
  for (const name of [`${first()}.json.damaged`, `.#${first()}.x`, 'notes.json', '.json', 'a.json\nb'])
    writeFileSync(path.join(root, 'records', name), '');
}

describe('a table of many installed images in a world', () => {
  beforeEach(async () => {
    await catalog.close();
    cpSync(base, path.join(directory, 'world'), {recursive: true});
    await openWorld(path.join(directory, 'world'));
  });
  afterEach(async () => {
    await catalog.close();
    rmSync(root, {recursive: true});
    await openWorld(base);
  });
  test.each(worlds)(
    'with %s besides (drawn by SQLite: %s) is the same either way',
    async (_what, isDrawn, change) => {
      await change();
      const {text, drawn} = await both({});
      expect(text !== undefined).toBe(isDrawn);
      if (isDrawn) expect(text).toBe(drawn);
      for (const line of lines) {
        const other = await both(line);
        if (other.text !== undefined) expect(other.text, JSON.stringify(line)).toBe(other.drawn);
      }
    },
  );
});

describe('a table of many installed images', () => {
  test.each(lines)('is drawn by SQLite for %j', async (line) => {
    const {text, drawn} = await both(line);
    expect(text).toBe(drawn);
  });
  test.each<Line>([
    {relative: true},
    {long: true},
    {columns: 'uuid,clones'},
    {columns: 'uuid,files.0.size'},
    {sort: 'clones'},
    {sort: 'version'},
    {filters: ['published>=2026']},
    {filters: ['name=true']},
    {filters: ['version=1.3']},
  ])('is drawn row by row for %j', async (line) => {
    expect((await both(line)).text).toBeUndefined();
  });
});

describe('a table of many offers', () => {
  const sources = ['imgapi a', 'imgapi b', 'imgapi c'];

  async function offered(line: Line): Promise<{text: string | undefined; drawn: string}> {
    const flags = flagsOf(line);
    const {filters = []} = line;
    const question = textQuestion(flags, filters, defaultColumns);
    const text = question && (await catalog.offers.draw(sources, question));
    const offers = await catalog.offers.listWanted(sources, wantedRows(flags, filters, defaultColumns));
    const rows = selectRows(offers, flags, filters);
    return {text, drawn: drawRows(rows, flags, {defaultColumns, look})};
  }

  /** Some are offered by several, under other names. */
  async function fill(more: Partial<ImageManifest> = {}): Promise<void> {
    const all = Array.from({length: 600}, (_, index) => manifestNumber((index * 7) % 600));
    const renamed = all.map((manifest) => ({...manifest, name: `other-${manifest.name}`}));
    const listing = {validator: undefined, fetchedAt: '2026-01-01T00:00:00.000Z'};
    await catalog.offers.replace(sources[0]!, all.slice(0, 400), listing);
    await catalog.offers.replace(sources[1]!, renamed.slice(200), listing);
    await catalog.offers.replace('imgapi of nobody', renamed.slice(0, 10), listing);
    await catalog.offers.replace(sources[2]!, [{...manifestNumber(601), ...more}], listing);
  }

  test.each(lines)('is the same either way for %j', async (line) => {
    await fill();
    const {text, drawn} = await offered(line);
    expect(text).toBe(drawn);
  });

  test.each(['b\u00e4se', '\ud83d\ude00', '10', 'a\u0000', ''])(
    'is left to others with the name %j in it',
    async (name) => {
      await fill({name});
      expect((await offered({})).text).toBeUndefined();
      for (const line of lines) {
        const {text, drawn} = await offered(line);
        if (text !== undefined) expect(text, JSON.stringify(line)).toBe(drawn);
      }
    },
  );

  test('is left to others where an index finds the few that are wanted', async () => {
    await fill();
    expect((await offered({filters: ['name=base']})).text).toBeUndefined();
  });
});
