/** The blocks that spec/imgadm.md marks as measured, for the reading commands: the same bytes from the built program. */
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {type FakeImage, type FakeServer, startFakeServer} from '../support/fake-images.ts';
import {type Outcome, World} from '../support/world.ts';

const base = '11111111-1111-4111-8111-111111111111';
const webapp = '22222222-2222-4222-8222-222222222222';
const ubuntu = '33333333-3333-4333-8333-333333333333';

const images: FakeImage[] = [
  {
    uuid: base,
    name: 'base-64',
    version: '16.1.0',
    bytes: Buffer.alloc(58, 1),
    more: {type: 'zone-dataset', os: 'smartos'},
  },
  {
    uuid: webapp,
    name: 'webapp',
    version: '2.0.0',
    bytes: Buffer.alloc(57, 2),
    origin: base,
    more: {
      type: 'zone-dataset',
      os: 'smartos',
      published_at: '2017-01-02T03:04:05.678Z',
      requirements: {brand: 'lx'},
    },
  },
  {
    uuid: ubuntu,
    name: 'ubuntu-22.04',
    version: '20230101',
    more: {type: 'zvol', os: 'linux', published_at: '2015-01-02T03:04:05Z'},
  },
];

let world: World;
let server: FakeServer;
let others: FakeServer[];

beforeEach(async () => {
  world = new World();
  server = await startFakeServer(images);
  others = [];
  world.useSources([`${server.url}/`]);
});
afterEach(async () => {
  await world.end();
  for (const one of [server, ...others]) await one.close();
});

/** Not `spawnSync`: the servers are in this process. */
function run(...args: string[]): Promise<Outcome> {
  return world.runWhile(['--retries', '0', ...args], async () => undefined, 'imgadm');
}

/** A source that answers everything in one way. */
async function sourceThat(status: number, body: string): Promise<string> {
  const other = await startFakeServer([]);
  others.push(other);
  other.intercept = (_request, response) => {
    response.writeHead(status, {'content-type': 'application/json'}).end(body);
    return true;
  };
  return other.url;
}

describe('avail', () => {
  test('shows the table of the later tool when asked for its columns', async () => {
    server.images = [images[2]!, images[0]!];
    expect((await run('avail', '-o', 'uuid,name,version,os,type,pub')).stdout).toBe(
      [
        'UUID                                  NAME          VERSION   OS       TYPE          PUB',
        '33333333-3333-4333-8333-333333333333  ubuntu-22.04  20230101  linux    zvol          2015-01-02',
        '11111111-1111-4111-8111-111111111111  base-64       16.1.0    smartos  zone-dataset  2016-05-23',
        '',
      ].join('\n'),
    );
  });

  test('tells of one failing source by its code and words, after the table', async () => {
    const boom = await sourceThat(500, '{"code":"InternalError","message":"boom"}');
    world.useSources([server.url, boom]);
    expect(await run('avail', '-H', '-o', 'name')).toMatchObject({
      status: 1,
      stdout: 'ubuntu-22.04\nbase-64\nwebapp\n',
      stderr: `imgadm avail: error (InternalError): ${boom}: boom\n`,
    });
  });

  test('keeps to the line of people with -j, and to its record with -E', async () => {
    const boom = await sourceThat(500, '{"code":"InternalError","message":"boom"}');
    world.useSources([boom]);
    expect(await run('avail', '-j')).toMatchObject({
      status: 1,
      stdout: '[]\n',
      stderr: `imgadm avail: error (InternalError): ${boom}: boom\n`,
    });
    const {err} = JSON.parse((await run('-E', 'avail', '-j')).stderr);
    expect(err).toMatchObject({code: 'InternalError', message: `${boom}: boom`});
  });

  test('tells of several failing sources in one error, items and all', async () => {
    const boom = await sourceThat(500, '{"code":"InternalError","message":"boom"}');
    const items = [
      {field: 'x', code: 'Invalid', message: 'x is bad'},
      {field: 'y', code: 'MissingParameter'},
    ];
    const invalid = await sourceThat(
      422,
      JSON.stringify({code: 'ValidationFailed', message: 'invalid image data: "x"', errors: items}),
    );
    world.useSources([boom, invalid]);
    expect(await run('avail')).toMatchObject({
      status: 1,
      stdout: '',
      stderr: [
        'imgadm avail: error (MultiError): multiple (2) errors',
        `    error (InternalError): ${boom}: boom`,
        `    error (ValidationFailed): ${invalid}: invalid image data: "x"`,
        '    x: Invalid: x is bad',
        '    y: MissingParameter',
        '',
      ].join('\n'),
    });
  });

  test('shows an image of two sources once, from the first', async () => {
    const second = await startFakeServer([{...images[0]!, name: 'other'}]);
    others.push(second);
    world.useSources([server.url, second.url]);
    expect((await run('avail', '-H', '-o', 'name,source', `uuid=${base}`)).stdout).toBe(
      `base-64  ${server.url}\n`,
    );
  });

  test.each([[[]], [['type=zvol', 'os=linux']]])(
    'gives manifests as they are, with filters %j too',
    async (filters) => {
      server.images = [images[2]!];
      const [row] = JSON.parse((await run('avail', '-j', ...filters)).stdout);
      expect(Object.keys(row)).toEqual(['manifest', 'source']);
      expect(Object.keys(row.manifest)).toEqual([
        'v',
        'uuid',
        'name',
        'version',
        'type',
        'os',
        'state',
        'published_at',
        'files',
      ]);
    },
  );

  test.each([
    [['-o', ''], 'empty field name in ""'],
    [['-o', 'uuid,,name'], 'empty field name in "uuid,,name"'],
    [['-s', ''], 'empty sort field in ""'],
    [['foo'], 'invalid filter: "foo" (must be of the form "field=value")'],
  ])('with %j is a usage error', async (args, message) => {
    const {status, stdout, stderr} = await run('avail', ...args);
    expect([status, stdout, stderr.split('\n')[0]]).toEqual([
      2,
      '',
      `imgadm avail: error (Usage): ${message}`,
    ]);
  });

  test.each(['requirements=~lx', 'image_size=~1', 'public=~t'])(
    'a search for text in a field without text, %s, matches nothing',
    async (filter) => {
      expect(await run('avail', filter)).toMatchObject({status: 0, stdout: '', stderr: ''});
    },
  );
});

test('show gives an image whatever its state', async () => {
  server.images = [{...images[0]!, more: {state: 'disabled', disabled: true}}];
  expect(JSON.parse((await run('show', base)).stdout)).toMatchObject({uuid: base, state: 'disabled'});
  expect((await run('import', base)).stderr.split('\n')[0]).toBe(
    `imgadm import: error (ActiveImageNotFound): an active image "${base}" was not found in image sources`,
  );
});

test('list and get of an image and its origin have the keys and columns that programs read', async () => {
  expect((await run('import', '-q', webapp)).status).toBe(0);
  const [row] = JSON.parse((await run('list', '-j', `uuid=${base}`)).stdout);
  expect(Object.keys(row)).toEqual(['manifest', 'zpool', 'source', 'cloneNames', 'clones']);
  expect(row).toMatchObject({
    zpool: 'zones',
    source: `${server.url}/`,
    cloneNames: [`zones/${webapp}`],
    clones: 1,
  });
  expect(Object.keys(JSON.parse((await run('get', '-r', base)).stdout))).toEqual([
    'manifest',
    'zpool',
    'source',
    'children',
  ]);
  expect((await run('list', '-H', '-o', 'clones,uuid,name,os,version')).stdout).toBe(
    [`1       ${base}  base-64  smartos  16.1.0`, `0       ${webapp}  webapp   smartos  2.0.0`, ''].join(
      '\n',
    ),
  );
});

describe('a source that is added', () => {
  test.each([
    ['short', '<html>\n<b>no</b>', '    <html>\n    <b>no</b>\n'],
    ['long', 'x'.repeat(2000), `    ${'x'.repeat(1024)}...\n`],
  ])('and answers 200 with a %s page is refused with the page', async (_name, page, shown) => {
    const url = await sourceThat(200, page);
    expect(await run('sources', '-a', url)).toMatchObject({
      status: 1,
      stdout: '',
      stderr: `imgadm sources: error (SourcePing): unexpected ping error with "imgapi" image source "${url}": statusCode 200, response not JSON:\n${shown}`,
    });
  });
});
