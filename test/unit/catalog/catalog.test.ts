import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import sqlite3 from 'sqlite3';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {type Catalog, openCatalog} from '../../../src/catalog/catalog.ts';
import {Database} from '../../../src/catalog/database.ts';
import {
  manifestFor,
  migrationsDirectory,
  openTestCatalog,
  recordFor,
  uuidFor,
} from '../../support/catalogs.ts';

let directory: string;
let file: string;
const cleanups: (() => Promise<void>)[] = [];

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-catalog-'));
  file = path.join(directory, 'catalog.db');
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
  rmSync(directory, {recursive: true, force: true});
});

async function open(migrations = migrationsDirectory): Promise<Catalog> {
  const catalog = await openCatalog(file, migrations);
  cleanups.push(() => catalog.close());
  return catalog;
}

async function raw(): Promise<Database> {
  const database = await Database.open(file);
  cleanups.push(() => database.close());
  return database;
}

const listing = {validator: '"v"', fetchedAt: '2026-01-01T00:00:00.000Z'};

describe('migrations', () => {
  let migrations: string;

  beforeEach(() => {
    migrations = path.join(directory, 'migrations');
    cpSync(migrationsDirectory, migrations, {recursive: true});
  });

  function add(name: string, sql: string): void {
    writeFileSync(path.join(migrations, name), sql);
  }

  test('a fresh catalog gets all of them, and opening it again changes nothing', async () => {
    await (await openCatalog(file, migrations)).close();
    const before = readFileSync(file);
    await (await openCatalog(file, migrations)).close();
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test('a catalog of every released version is upgraded with its content', async () => {
    const old = await openCatalog(file, migrations);
    await old.images.put(recordFor('a'));
    await old.close();
    add('9998-next.sql', 'ALTER TABLE images ADD COLUMN note TEXT; CREATE TABLE next (x);');
    add('9999-last.sql', 'INSERT INTO next VALUES (1);');
    const catalog = await open(migrations);
    expect(await catalog.images.list()).toEqual([recordFor('a')]);
    expect(await (await raw()).get('SELECT count(*) AS n FROM next')).toEqual({n: 1});
  });

  test('one that fails leaves the catalog as it was', async () => {
    await (await openCatalog(file, migrations)).close();
    add('9998-good.sql', 'CREATE TABLE good (x);');
    add('9999-bad.sql', 'CREATE TABLE bad (x); SELECT nonsense FROM nowhere;');
    await expect(openCatalog(file, migrations)).rejects.toMatchObject({code: 'FileSystem'});
    await expect((await raw()).get('SELECT 1 FROM good')).rejects.toThrow('no such table: good');
    await open();
  });

  test.each([
    ['is missing', () => rmSync(path.join(migrations, '0002-two.sql'))],
    [
      'was renamed',
      () => renameSync(path.join(migrations, '0002-two.sql'), path.join(migrations, '0002-b.sql')),
    ],
    ['came in before it', () => writeFileSync(path.join(migrations, '0001-aaa.sql'), 'SELECT 1')],
  ])('a recorded one that %s is an error', async (_name, change) => {
    add('0002-two.sql', 'CREATE TABLE two (x);');
    await (await openCatalog(file, migrations)).close();
    change();
    await expect(openCatalog(file, migrations)).rejects.toMatchObject({
      code: 'UpgradeError',
      message: expect.stringContaining(`catalog "${file}" has the migration`),
    });
  });

  test('a catalog of a newer imgctl is refused and not changed', async () => {
    add('9999-future.sql', 'CREATE TABLE future (x);');
    await (await openCatalog(file, migrations)).close();
    await expect(openCatalog(file, migrationsDirectory)).rejects.toMatchObject({
      code: 'UpgradeError',
      message: `catalog "${file}" has the migration "9999-future.sql", which this imgctl does not know`,
      hint: expect.stringContaining('newer'),
    });
    await open(migrations);
  });
});

describe('several writers', () => {
  test('processes that open and write at once never see the catalog busy', async () => {
    const script = path.join(import.meta.dirname, '../../support/catalog-writer.ts');
    const writers = ['a', 'b', 'c'].map((name) => {
      return spawn(process.execPath, [script, directory, name, '10'], {stdio: 'inherit'});
    });
    const ends = await Promise.all(writers.map((writer) => once(writer, 'exit')));
    expect(ends.map(([status]) => status)).toEqual([0, 0, 0]);
    const catalog = await open();
    expect(await catalog.images.list()).toHaveLength(300);
    expect(await catalog.offers.list(['a', 'b', 'c'])).toHaveLength(3);
    expect(await catalog.offers.findListing('b')).toEqual({validator: '9 9', fetchedAt: ''});
  });

  test('transactions of one process take turns', async () => {
    const {offers, images} = await open();
    const sources = Array.from({length: 20}, (_, index) => `s${index}`);
    await Promise.all(
      sources.flatMap((source) => [
        offers.replace(source, [manifestFor(source)], listing),
        images.put(recordFor(source)),
      ]),
    );
    expect(await offers.list(sources)).toHaveLength(20);
    expect(await images.list()).toHaveLength(20);
  });

  test('a transaction that fails is undone and does not stop the next', async () => {
    const database = await raw();
    await database.exec('CREATE TABLE t (x UNIQUE)');
    const add = (value: number): Promise<void> => database.run('INSERT INTO t VALUES (?)', value);
    const failing = database.transaction(async () => {
      await add(1);
      await add(1);
    });
    const next = database.transaction(() => add(2));
    await expect(failing).rejects.toMatchObject({code: 'FileSystem'});
    await expect(next).resolves.toBeUndefined();
    expect(await database.all('SELECT x FROM t')).toEqual([{x: 2}]);
  });
});

describe('a damaged file', () => {
  const damaged: [name: string, change: (whole: Buffer) => Buffer][] = [
    ['is no database', () => Buffer.from('this is a text file, and a long one for a database\n'.repeat(20))],
    ['has a damaged header', (whole) => Buffer.concat([Buffer.alloc(100, 7), whole.subarray(100)])],
    ['lost its end', (whole) => whole.subarray(0, 5000)],
    ['has zeros for its tables', (whole) => whole.fill(0xa5, 4096)],
  ];

  test.each(damaged)(
    'that %s gives CatalogCorrupt, and a new one can be made beside it',
    async (_, change) => {
      const catalog = await openCatalog(file, migrationsDirectory);
      await catalog.offers.replace('s', [manifestFor('a')], listing);
      await catalog.close();
      writeFileSync(file, change(readFileSync(file)));
      const use = async (): Promise<void> => {
        const opened = await openCatalog(file, migrationsDirectory);
        await opened.offers.list(['s']).finally(() => opened.close());
      };
      await expect(use()).rejects.toMatchObject({
        code: 'CatalogCorrupt',
        message: expect.stringContaining(`catalog "${file}" is damaged: `),
        hint: 'images are safe; make it anew from their records: imgctl doctor --repair',
      });
      renameSync(file, `${file}.damaged`);
      expect(await (await open()).images.list()).toEqual([]);
    },
  );

  test('an empty file is a new catalog', async () => {
    writeFileSync(file, '');
    expect(await (await open()).images.list()).toEqual([]);
  });

  test('a text in it that is no manifest is damage too', async () => {
    const written = await openCatalog(file, migrationsDirectory);
    await written.images.put(recordFor('a'));
    await written.close();
    writeFileSync(file, readFileSync(file, 'latin1').replace('"manifest":{', '"manifest"-{'), 'latin1');
    const catalog = await open();
    await expect(catalog.images.list()).rejects.toMatchObject({code: 'CatalogCorrupt'});
    await expect(catalog.images.find(uuidFor('a'))).rejects.toMatchObject({code: 'CatalogCorrupt'});
  });

  test('a directory that cannot be made is named', async () => {
    writeFileSync(path.join(directory, 'file'), '');
    await expect(openTestCatalog(path.join(directory, 'file'))).rejects.toMatchObject({
      code: 'FileSystem',
      message: expect.stringContaining(`cannot make the directory of catalog "${directory}/file/`),
    });
  });
});

describe('offers', () => {
  test('ten thousand are replaced by a few statements, in order', async () => {
    const {offers} = await open();
    const manifests = Array.from({length: 10_000}, (_, index) => manifestFor(`image ${index}`));
    await offers.replace('s', [manifestFor('before')], listing);
    const statements = await countInserts(() => offers.replace('s', manifests, listing));
    expect(statements).toBeLessThan(10);
    const listed = await offers.list(['s']);
    expect(listed.map((offer) => offer.manifest.name)).toEqual(manifests.map((manifest) => manifest.name));
  });

  test('of one UUID in a listing, and over sources, the first counts', async () => {
    const {offers} = await open();
    const a1 = manifestFor('a', {version: '1'});
    const a2 = manifestFor('a', {version: '2'});
    await offers.replace('one', [manifestFor('b'), a1, a2], listing);
    await offers.replace('two', [a2, manifestFor('c')], listing);
    const shown = async (...sources: string[]): Promise<string[]> =>
      (await offers.list(sources)).map(
        ({source, manifest}) => `${source} ${manifest.name}${manifest.version}`,
      );
    expect(await shown('one', 'two')).toEqual(['one b1.0.0', 'one a1', 'two c1.0.0']);
    expect(await shown('two', 'one')).toEqual(['two a2', 'two c1.0.0', 'one b1.0.0']);
    expect(await shown('two', 'two', 'none')).toEqual(['two a2', 'two c1.0.0']);
    expect(await shown()).toEqual([]);
  });

  test('are gone with their source, and so is what was known of its listing', async () => {
    const {offers} = await open();
    await offers.replace('one', [manifestFor('a')], listing);
    await offers.replace('two', [manifestFor('b')], {...listing, validator: undefined});
    await offers.keepOnly(['two', 'three']);
    expect(await offers.findListing('one')).toBeUndefined();
    expect(await offers.findListing('two')).toEqual({validator: undefined, fetchedAt: listing.fetchedAt});
    expect(await (await raw()).all('SELECT name FROM offers')).toEqual([{name: 'b'}]);
    await offers.keepOnly([]);
    expect(await offers.list(['one', 'two'])).toEqual([]);
  });

  test('keep what a manifest holds, whatever it is', async () => {
    const {offers} = await open();
    const odd = manifestFor("o'dd", {tags: {'"; DROP TABLE offers; --': '\u0000\ud83d\ude00'}, big: 2 ** 60});
    await offers.replace('s', [odd], listing);
    expect((await offers.list(['s']))[0]?.manifest).toEqual(odd);
  });
});

test('columns are filled from the JSON, which is the truth', async () => {
  const {images, offers} = await open();
  const manifest = manifestFor('a', {origin: uuidFor('base')});
  await offers.replace('s', [manifest], listing);
  await images.put(recordFor('a', {manifest}));
  const database = await raw();
  const columns = {name: 'a', version: '1.0.0'};
  expect(await database.all('SELECT name, version, published_at FROM offers')).toEqual([
    {...columns, published_at: '2026-01-01T00:00:00.000Z'},
  ]);
  expect(await database.all('SELECT name, version, origin FROM images')).toEqual([
    {...columns, origin: uuidFor('base')},
  ]);
  await images.put(recordFor('a', {manifest: {...manifest, name: 'b'}}));
  expect(await database.all('SELECT name FROM images')).toEqual([{name: 'b'}]);
});

/** Statements on `offers` that any connection of this process runs meanwhile. */
async function countInserts(work: () => Promise<void>): Promise<number> {
  const seen: string[] = [];
  const original = sqlite3.Database.prototype.run;
  sqlite3.Database.prototype.run = function (this: sqlite3.Database, ...args: unknown[]) {
    seen.push(String(args[0]));
    return Reflect.apply(original, this, args);
  } as typeof original;
  try {
    await work();
  } finally {
    sqlite3.Database.prototype.run = original;
  }
  return seen.filter((sql) => /^INSERT.* offers/.test(sql)).length;
}

test('many who make one catalog at once all get it', async () => {
  for (let round = 0; round < 40; round += 1) {
    const place = path.join(directory, String(round), 'catalog.db');
    const opened = await Promise.allSettled(
      // One that waits occupies one of the four threads that Node has for this.
      Array.from({length: 3}, () => openCatalog(place, migrationsDirectory)),
    );
    for (const result of opened) if (result.status === 'fulfilled') await result.value.close();
    expect(opened.filter(({status}) => status === 'rejected')).toEqual([]);
  }
});
