import {once} from 'node:events';
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {gzipSync} from 'node:zlib';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {listAvailable} from '../../../src/actions/avail.ts';
import {showImage} from '../../../src/actions/show.ts';
import {ImgctlError} from '../../../src/errors.ts';
import {ActionWorld} from '../../support/action-world.ts';
import {type BareServer, bareImage, startBareServer} from '../../support/bare-imgapi.ts';
import {manifestFor, uuidFor} from '../../support/catalogs.ts';

let world: ActionWorld;
let one: BareServer;
let two: BareServer;

beforeEach(async () => {
  world = new ActionWorld();
  const content = Buffer.from('content');
  one = await startBareServer([bareImage('a', content), bareImage('b', content)]);
  two = await startBareServer([bareImage('b', content, {version: '9'}), bareImage('c', content)]);
});
afterEach(async () => {
  await world.end();
  await one.close();
  await two.close();
});

describe('avail', () => {
  test('shows all sources in order, an image of several once', async () => {
    const {rows, failure} = await listAvailable(await world.context([one.url, two.url]));
    expect(failure).toBeUndefined();
    expect(rows.map(({manifest, source}) => [manifest.name, manifest.version, source])).toEqual([
      ['a', '1.0.0', one.url],
      ['b', '1.0.0', one.url],
      ['c', '1.0.0', two.url],
    ]);
  });

  test('shows what answers, and the failure of the rest; never what a failing source once had', async () => {
    await listAvailable(await world.context([one.url, two.url]));
    one.refuseWith = 500;
    const some = await listAvailable(await world.context([one.url, two.url]));
    expect(some.rows.map(({manifest}) => `${manifest.name}${manifest.version}`)).toEqual(['b9', 'c1.0.0']);
    expect(some.failure).toMatchObject({publicCode: 'Refused'});
    two.refuseWith = 500;
    const none = await listAvailable(await world.context([one.url, two.url]));
    expect([none.rows, none.failure?.publicCode]).toEqual([[], 'MultiError']);
  });

  test('shows what the catalog has no room for, in the same order', async () => {
    await listAvailable(await world.context([two.url]));
    const context = await world.context([one.url, two.url]);
    const full = new ImgctlError('NoSpace', 'the disk is full');
    const offers = Object.assign(Object.create(context.catalog.offers), {
      replace: () => Promise.reject(full),
      list: context.catalog.offers.list.bind(context.catalog.offers),
      hold: context.catalog.offers.hold.bind(context.catalog.offers),
      findListing: context.catalog.offers.findListing.bind(context.catalog.offers),
      keepOnly: context.catalog.offers.keepOnly.bind(context.catalog.offers),
    });
    const {rows, failure} = await listAvailable({...context, catalog: {...context.catalog, offers}});
    expect(failure).toBeUndefined();
    expect(rows.map(({manifest, source}) => [`${manifest.name}${manifest.version}`, source])).toEqual([
      ['a1.0.0', one.url],
      ['b1.0.0', one.url],
      ['c1.0.0', two.url],
    ]);
    expect(world.warnings).toContain(`what "${one.url}" offers is not kept: the disk is full`);
  });

  test.each<[string, (text: string) => [body: Buffer, headers?: Record<string, string>], RegExp]>([
    [
      'is cut off',
      (text) => [Buffer.from(text.slice(0, -200)), {'content-length': `${text.length}`}],
      /^http:/,
    ],
    ['ends too early', (text) => [Buffer.from(text.slice(0, -1))], /response not JSON/],
    ['is broken at its end', (text) => [Buffer.from(text.replace(/\]$/, ',]'))], /response not JSON/],
    [
      'has another digest',
      (text) => [Buffer.from(text), {'content-md5': 'AAAA'}],
      /Content-MD5 expected to be AAAA/,
    ],
    [
      'is broken and has another digest',
      (text) => [Buffer.from(`${text}x`), {'content-md5': 'AAAA'}],
      /Content-MD5/,
    ],
    [
      'is cut within its encoding',
      (text) => [gzipSync(text).subarray(0, -50), {'content-encoding': 'gzip'}],
      /gzip/,
    ],
    [
      'is larger than it may be',
      (text) => [gzipSync(`${text}${' '.repeat(2 ** 27)}`), {'content-encoding': 'gzip'}],
      /limit/,
    ],
  ])('keeps what it knew of a source whose listing %s', async (_what, answer, message) => {
    const manifests = Array.from({length: 3000}, (_, index) => manifestFor(`image-${index}`));
    let reply: [body: Buffer, headers?: Record<string, string>] = [
      Buffer.from(JSON.stringify(manifests.slice(5))),
    ];
    const server = createServer((_request, response) => {
      const [body, headers] = reply;
      response.writeHead(200, headers);
      response.write(body, () => (headers?.['content-length'] ? response.destroy() : response.end()));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    try {
      const {port} = server.address() as AddressInfo;
      const context = await world.context([`http://127.0.0.1:${port}`]);
      expect((await listAvailable(context)).rows).toHaveLength(2995);
      reply = answer(JSON.stringify(manifests));
      expect((await listAvailable(context)).failure?.message).toMatch(message);
      expect((await listAvailable({...context, offline: true})).rows).toHaveLength(2995);
      reply = [gzipSync(JSON.stringify(manifests)), {'content-encoding': 'gzip'}];
      expect((await listAvailable(context)).rows.map(({manifest}) => manifest.name)).toEqual(
        manifests.map(({name}) => name),
      );
    } finally {
      server.close();
    }
  });

  test('forgets sources that are no longer configured', async () => {
    const context = await world.context([one.url, two.url]);
    await listAvailable(context);
    await listAvailable(await world.context([two.url]));
    expect(await context.catalog.offers.list([`imgapi ${one.url}`])).toEqual([]);
    expect(await context.catalog.offers.list([`imgapi ${two.url}`])).toHaveLength(2);
  });

  test('warns of invalid manifests, a few times a source', async () => {
    for (let index = 0; index < 5; index += 1) {
      one.images.push(bareImage(`bad ${index}`, Buffer.from('x'), {name: ''}));
    }
    const {rows} = await listAvailable(await world.context([one.url]));
    expect(rows).toHaveLength(2);
    expect(world.warnings).toHaveLength(4);
    expect(world.warnings.at(-1)).toBe(`2 more warnings about source "${one.url}"`);
  });

  test('without a source says how to add one', async () => {
    await expect(listAvailable(await world.context())).rejects.toMatchObject({
      code: 'NoSources',
      message: 'imgctl has no configured sources',
      hint: 'add one: imgctl sources -a URL',
    });
  });
});

describe('show', () => {
  test('takes the first source that has the image, in any state', async () => {
    one.images.push(bareImage('off', Buffer.from('x'), {state: 'disabled'}));
    const context = await world.context([one.url, two.url]);
    expect(await showImage(context, uuidFor('b'))).toMatchObject({version: '1.0.0'});
    expect(await showImage(context, uuidFor('c'))).toMatchObject({name: 'c'});
    expect(await showImage(context, uuidFor('off'))).toMatchObject({state: 'disabled'});
  });

  test('tells a missing image from a failing source', async () => {
    const context = await world.context([one.url, two.url]);
    await expect(showImage(context, uuidFor('none'))).rejects.toMatchObject({code: 'ImageNotFound'});
    one.refuseWith = 500;
    expect(await showImage(context, uuidFor('c'))).toMatchObject({name: 'c'});
    expect(world.warnings).toEqual([expect.stringMatching(/^ignored a failing source: /)]);
    await expect(showImage(context, uuidFor('a'))).rejects.toMatchObject({publicCode: 'Refused'});
    const imgadm = {...context, program: 'imgadm'};
    await expect(showImage(imgadm, '../x')).rejects.toMatchObject({code: 'InvalidUUID'});
  });
});
