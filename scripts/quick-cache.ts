/**
 * Runs the quick commands on a small world of their own and keeps what V8 has compiled by then: `quick-cache.ts DIST` writes
 * DIST/quick.cache. Part of the build.
 */
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import path from 'node:path';
import type {Script} from 'node:vm';
import {openCatalog} from '../src/catalog/catalog.ts';
import type {ImageRecord} from '../src/catalog/records.ts';
import {keepCompiled, writeCache} from './write-cache.ts';

type Load = (name: 'quick') => {
  exports: {runQuick(program: 'imgctl' | 'imgadm', argv: readonly string[]): Promise<boolean>};
  script: Script;
};

const url = 'http://images.invalid';
const dist = path.resolve(process.argv[2] ?? 'dist');
const root = mkdtempSync(path.join(tmpdir(), 'imgctl-build-'));

/** From so many on, lists go another way. */
const many = 501;

async function makeWorld(count: number): Promise<string[]> {
  const uuids = Array.from(
    {length: count},
    (_, index) => `aaaaaaaa-0000-4000-8000-${String(index + 1).padStart(12, '0')}`,
  );
  const records = uuids.map((uuid, index): ImageRecord => {
    const manifest = {
      ...{v: 2, uuid, owner: uuid, name: 'base', version: `1.${index}`, state: 'active', disabled: false},
      ...{public: true, published_at: '2026-01-01T00:00:00.000Z', type: 'other', os: 'linux'},
    } as const;
    const installedAt = manifest.published_at;
    return {
      manifest,
      pool: 'machine',
      localName: uuid,
      verification: {level: 'none'},
      installedAt,
      instances: [],
    };
  });
  for (const directory of [
    'etc/imgctl',
    'var/lib/imgctl/records',
    ...uuids.map((uuid) => `var/lib/machines/${uuid}`),
  ])
    mkdirSync(path.join(root, directory), {recursive: true});
  writeFileSync(path.join(root, 'etc/imgctl/config.json'), JSON.stringify({sources: [{url}]}));
  const catalog = await openCatalog(
    path.join(root, 'var/lib/imgctl/catalog.db'),
    path.join(import.meta.dirname, '../migrations'),
  );
  const manifests = records.map(({manifest}) => manifest);
  const listing = {validator: undefined, fetchedAt: '2026-01-01T00:00:00.000Z'};
  await catalog.offers.replace(`imgapi ${url}`, manifests, listing);
  for (const record of records) {
    const file = path.join(root, 'var/lib/imgctl/records', `${record.manifest.uuid}.json`);
    writeFileSync(file, JSON.stringify(record));
    await catalog.images.put(record);
  }
  await catalog.close();
  return uuids;
}

try {
  const [uuid = ''] = await makeWorld(2);
  process.env.IMGCTL_ROOT = root;
  keepCompiled();
  const quick = (createRequire(import.meta.url)(path.join(dist, 'start.cjs')) as Load)('quick');
  const lines = [
    ...[
      ['--version'],
      ['sources'],
      ['sources', '-j'],
      ['list'],
      ['list', '-j'],
      ['list', '-H', '-o', 'uuid'],
    ],
    ...[
      ['list', 'name=base'],
      ['get', uuid],
      ['get', '-r', uuid],
      ['get', 'base@1.0'],
    ],
    ...[
      ['--offline', 'avail'],
      ['--offline', 'avail', 'name=base', '-s', '-name'],
      ['--offline', 'avail', '-j'],
    ],
  ];
  for (const line of lines)
    if (!(await quick.exports.runQuick('imgctl', line)))
      throw new Error(`no quick command: ${line.join(' ')}`);
  await makeWorld(many);
  for (const line of [['list'], ['--offline', 'avail']])
    if (!(await quick.exports.runQuick('imgctl', line)))
      throw new Error(`no quick command: ${line.join(' ')}`);
  writeCache(path.join(dist, 'quick.cache'), quick.script);
} finally {
  rmSync(root, {recursive: true});
}
