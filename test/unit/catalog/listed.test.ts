import {copyFileSync, mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {openCatalog} from '../../../src/catalog/catalog.ts';
import {openCatalogToRead} from '../../../src/catalog/catalog-to-read.ts';
import {Database} from '../../../src/catalog/database.ts';
import {migrate} from '../../../src/catalog/migrate.ts';
import {countQuery, fewRows, offerQuery} from '../../../src/catalog/offer-query.ts';
import type {RowFilter, WantedRows} from '../../../src/catalog/wanted-rows.ts';
import {selectRows, wantedRows} from '../../../src/cli/list-flags.ts';
import type {ImageManifest} from '../../../src/manifest/manifest.ts';
import {
  manifestFor,
  migrationsDirectory,
  openTestCatalog,
  recordFor,
  uuidFor,
} from '../../support/catalogs.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-listed-'));
});
afterEach(() => rmSync(directory, {recursive: true}));

const listing = {validator: '"v"', fetchedAt: '2026-01-01T00:00:00.000Z'};

function offersOf(source: string, count: number): ImageManifest[] {
  return Array.from({length: count}, (_, index) => {
    const manifest = manifestFor(`image-${index % 17}`, {
      uuid: uuidFor(`${source} ${index % 3 === 0 ? 'shared ' : ''}${index}`),
      version: `${index % 5}.0`,
      os: index === 4 ? 'bsd' : 'linux',
      type: index % 2 === 0 ? 'zvol' : 'other',
      published_at: `2026-01-01T00:00:${String(index % 60).padStart(2, '0')}.000Z`,
      description: 'long '.repeat(20),
    });
    if (index % 10 === 9) delete manifest.published_at;
    return {...manifest, ...(index % 3 === 0 && {uuid: uuidFor(`shared ${index}`)})};
  });
}

describe('a list that does not want everything', () => {
  test.each([
    [[]],
    [['name=image-3']],
    [['name=image-3', 'os!=bsd', 'type=zvol']],
    [['name=~mage-1', 'version>=2']],
    [['os=bsd']],
    [['os=linux', 'type=other']],
    [[`uuid=${uuidFor('shared 3')}`]],
    [['version=1.0', 'published>=2026-01-01T00:00:30']],
    [['name=true']],
    [['description=~long', 'name=image-1']],
    [['type!=zvol']],
  ])('has for %j the rows that it would have of everything', async (args) => {
    const catalog = await openTestCatalog(directory);
    try {
      await catalog.offers.replace('a', offersOf('a', 60), listing);
      await catalog.offers.replace('b', offersOf('b', 90), listing);
      const flags = {
        json: false,
        'no-header': false,
        columns: 'uuid,name,published',
        sort: '-published_at,name',
        wide: false,
      };
      const wanted = wantedRows(flags, args, []);
      expect(wanted.whole).toBe(args.some((arg) => arg.startsWith('description')));
      for (const sources of [['a', 'b'], ['b', 'a'], ['b']]) {
        const all = selectRows(await catalog.offers.list(sources), flags, args);
        const some = selectRows(await catalog.offers.listWanted(sources, wanted), flags, args);
        const shown = (rows: typeof some): unknown[] =>
          rows.map(({source, manifest: {uuid, name, published_at}}) => [
            source,
            uuid,
            name,
            published_at ?? null,
          ]);
        expect(shown(some)).toEqual(shown(all));
        expect(all.length > 0 || args.includes('name=true')).toBe(true);
      }
    } finally {
      await catalog.close();
    }
  });

  test('does not go through a listing for a value that few have, nor look up one that many have', async () => {
    const catalog = await openTestCatalog(directory);
    try {
      await catalog.offers.replace('a', offersOf('a', fewRows * 2 + 50), listing);
      const wanted = (operand: string): WantedRows => ({
        whole: false,
        byDate: false,
        filters: [{field: 'os', operator: '=', operand}],
      });
      expect(await catalog.offers.listWanted(['a'], wanted('bsd'))).toHaveLength(1);
      const many = await catalog.offers.listWanted(['a'], wanted('linux'));
      expect(many).toHaveLength(fewRows * 2 + 49);
    } finally {
      await catalog.close();
    }
  });
});

test.each(['mage-1', 'mage', 'image-16', '', 'nothing like it', 'x%'])(
  'a part of a name, "%s", finds the rows that everything has, be they many or few',
  async (part) => {
    const catalog = await openTestCatalog(directory);
    try {
      const sources = ['imgapi a', 'imgapi b'];
      for (const source of sources)
        await catalog.offers.replace(source, offersOf(source, fewRows + 300), listing);
      for (const [whole, byDate] of [
        [false, true],
        [true, false],
      ] as const) {
        const filters: RowFilter[] = [{field: 'name', operator: '=~', operand: part}];
        const some = await catalog.offers.listWanted(sources, {whole, byDate, filters});
        const all = await catalog.offers.listWanted(sources, {whole, byDate, filters: []});
        const wanted = all.filter(({manifest}) => String(manifest.name).includes(part));
        const inOrder = (offers: typeof all) =>
          byDate ? offers.map(({manifest}) => manifest.uuid).sort() : offers;
        expect(inOrder(some)).toEqual(inOrder(wanted));
      }
    } finally {
      await catalog.close();
    }
  },
);

describe('the plans of the questions', () => {
  const filters: (RowFilter | undefined)[] = [
    undefined,
    {field: 'uuid', operator: '=', operand: 'x'},
    {field: 'name', operator: '=', operand: 'x'},
    {field: 'version', operator: '=', operand: 'x'},
    {field: 'os', operator: '=', operand: 'x'},
    {field: 'type', operator: '=', operand: 'x'},
  ];

  async function planOf(sql: string, values: (string | number | null)[]): Promise<string[]> {
    const database = await Database.open(path.join(directory, 'catalog.db'));
    try {
      await migrate(database, migrationsDirectory);
      const rows = await database.all<{detail: string}>(`EXPLAIN QUERY PLAN ${sql}`, ...values);
      return rows.map(({detail}) => detail);
    } finally {
      await database.close();
    }
  }

  test.each([false, true])(
    'never go through a table, and sort but what is of one date (whole manifests: %s)',
    async (whole) => {
      for (const by of filters) {
        for (const earlier of [[], [2, 3]]) {
          const other: RowFilter = {field: 'name', operator: '=~', operand: 'y'};
          const wanted = {whole, byDate: earlier.length > 0, filters: by ? [by, other] : [other]};
          const {sql, values} = offerQuery({listing: 1, earlier, wanted, by});
          const plan = await planOf(sql, values);
          expect(plan[0]).toMatch(/^SEARCH offers USING (?:COVERING )?INDEX /);
          expect(plan.join('\n')).not.toMatch(/SCAN|TEMP B-TREE(?! FOR LAST TERM)/);
          if (!whole && !by)
            expect(plan[0]).toContain(
              `COVERING INDEX ${wanted.byDate ? 'offers_by_date' : 'offers_in_order'}`,
            );
        }
      }
    },
  );

  test('rows that are known by their numbers are looked up one by one', async () => {
    const wanted = {whole: false, byDate: false, filters: []};
    const {sql, values} = offerQuery({listing: 1, earlier: [2], wanted, by: [5, 6]});
    expect((await planOf(sql, values))[0]).toBe('SEARCH offers USING INTEGER PRIMARY KEY (rowid=?)');
  });

  test('nor do those that count, nor those of completion and of installed images', async () => {
    for (const by of filters) {
      if (!by) continue;
      const {sql, values} = countQuery(1, by);
      expect((await planOf(sql, values)).join('\n')).toContain('SEARCH offers USING COVERING INDEX');
    }
    const asked: string[] = [];
    const database = await Database.open(path.join(directory, 'catalog.db'));
    const all = database.all.bind(database);
    database.all = (sql, ...values) => {
      asked.push(sql);
      return all(sql, ...values);
    };
    const [{ImageTable}, {OfferTable}] = await Promise.all([
      import('../../../src/catalog/images.ts'),
      import('../../../src/catalog/offers.ts'),
    ]);
    await new ImageTable(database).listBrief();
    await new ImageTable(database).listBrief({byDate: true});
    await new ImageTable(database).titles();
    await new OfferTable(database).titles();
    await new OfferTable(database).find('x', 'y');
    await database.close();
    expect(asked).toHaveLength(5);
    for (const sql of asked) {
      const plan = await planOf(sql, sql.includes('?2') ? ['x', 'y'] : []);
      expect(plan.join('\n')).not.toMatch(/SCAN \w+$|TEMP B-TREE FOR ORDER/m);
    }
  });
});

test('a catalog of the first schema is brought to this one with all it holds', async () => {
  const first = path.join(directory, 'first');
  mkdirSync(first);
  copyFileSync(path.join(migrationsDirectory, '0001-initial.sql'), path.join(first, '0001-initial.sql'));
  const file = path.join(directory, 'catalog.db');
  const old = await Database.open(file);
  await migrate(old, first);
  const manifests = offersOf('a', 5);
  for (const source of ['a', 'b']) {
    await old.run('INSERT INTO listings VALUES (?, ?, ?)', source, listing.validator, listing.fetchedAt);
    for (const [index, manifest] of manifests.entries())
      await old.run(
        'INSERT INTO offers (source, position, uuid, manifest) VALUES (?, ?, ?, ?)',
        ...[source, index, manifest.uuid, JSON.stringify(manifest)],
      );
  }
  const record = recordFor('kept', {source: 'http://a', ignored: true});
  await old.run(
    'INSERT INTO images (uuid, pool, local_name, record) VALUES (?, ?, ?, ?)',
    ...[record.manifest.uuid, record.pool, record.localName, JSON.stringify(record)],
  );
  await old.close();
  const catalog = await openCatalogToRead(file, migrationsDirectory, () =>
    openCatalog(file, migrationsDirectory),
  );
  try {
    expect((await catalog.offers.list(['b', 'a'])).map(({manifest}) => manifest)).toEqual(manifests);
    expect(await catalog.offers.findListing('b')).toEqual(listing);
    expect(await catalog.images.list()).toEqual([record]);
    const {uuid, name, version, os, type, published_at} = record.manifest;
    expect(await catalog.images.listBrief()).toEqual([
      {
        manifest: expect.objectContaining({uuid, name, version, os, type, published_at, origin: null}),
        ...{pool: record.pool, localName: record.localName, instances: [], source: 'http://a', ignored: true},
      },
    ]);
  } finally {
    await catalog.close();
  }
});

describe('a catalog that is opened to read', () => {
  test('opens the whole one for the first write, and for good', async () => {
    await (await openTestCatalog(directory)).close();
    const file = path.join(directory, 'catalog.db');
    let opened = 0;
    const catalog = await openCatalogToRead(file, migrationsDirectory, () => {
      opened += 1;
      return openCatalog(file, migrationsDirectory);
    });
    expect(await catalog.images.list()).toEqual([]);
    expect(opened).toBe(0);
    await Promise.all([catalog.images.put(recordFor('a')), catalog.images.put(recordFor('b'))]);
    expect(await catalog.images.list()).toHaveLength(2);
    expect(opened).toBe(1);
    await catalog.check();
    await catalog.close();
  });

  test('is left to the whole one where the schema is another', async () => {
    const file = path.join(directory, 'catalog.db');
    const first = path.join(directory, 'first');
    mkdirSync(first);
    copyFileSync(path.join(migrationsDirectory, '0001-initial.sql'), path.join(first, '0001-initial.sql'));
    await (await openCatalog(file, first)).close();
    let opened = 0;
    const catalog = await openCatalogToRead(file, migrationsDirectory, () => {
      opened += 1;
      return openCatalog(file, migrationsDirectory);
    });
    expect(opened).toBe(1);
    await catalog.close();
  });
});
