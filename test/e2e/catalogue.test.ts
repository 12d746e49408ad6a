/** The catalogue page of `imgctl serve` in a real browser. */
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, beforeEach, expect, test} from 'vitest';
import {createImageServer, type ImageServer} from '../../src/server/image-server.ts';
import {Browser} from '../support/browser.ts';

const hostile = 'aaaaaaaa-1111-4000-8000-0000000000ff';
const hostileName = `<script>document.title='owned'</script><img src=x onerror="document.title='owned'">'"&amp;`;
const count = 120;

let directory: string;
let server: ImageServer;
let url: string;
let browser: Browser;

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-catalogue-'));
  for (let index = 0; index < count; index += 1) {
    keepImage(
      uuidOf(index),
      {name: `image-${index}`, version: `1.${index}.0`, os: index % 2 ? 'linux' : 'bsd'},
      index,
    );
  }
  // Put there by hand: the server itself would not take such a name.
  keepImage(
    hostile,
    {name: hostileName, version: '"><b>1', description: '</pre><script>1</script>', tags: {a: '</script>'}},
    999,
  );
  server = await createImageServer({directory});
  ({url} = await server.listen({host: '127.0.0.1', port: 0}));
  browser = await Browser.start();
});

afterAll(async () => {
  await browser?.close();
  await server.close();
  rmSync(directory, {recursive: true});
});

beforeEach(() => browser.open(url));

function uuidOf(index: number): string {
  return `aaaaaaaa-1111-4000-8000-${String(index).padStart(12, '0')}`;
}

function keepImage(uuid: string, more: object, age: number): void {
  const folder = path.join(directory, 'images', uuid);
  mkdirSync(folder, {recursive: true});
  const published_at = new Date(1_700_000_000_000 + age * 86_400_000).toISOString();
  const manifest = {
    v: 2,
    uuid,
    type: 'other',
    os: 'linux',
    public: true,
    state: 'active',
    published_at,
    ...more,
  };
  writeFileSync(path.join(folder, 'manifest.json'), JSON.stringify(manifest));
}

const texts = (selector: string) =>
  browser.evaluate(
    `[...document.querySelectorAll(${JSON.stringify(selector)})].map((found) => found.innerText)`,
  );

test('shows the newest images first, fifty to a page, and leads to the rest', async () => {
  expect(await texts('.count')).toEqual([`${count + 1} images, 1 to 50 shown`]);
  const names = (await texts('td.name')) as string[];
  expect([names.length, names[1]]).toEqual([50, `image-${count - 1}`]);
  await browser.click('a[rel=next]', {leads: true});
  expect((await texts('td.name')) as string[]).toContain(`image-${count - 50}`);
  await browser.click('a[rel=last]', {leads: true});
  expect(((await texts('td.name')) as string[]).at(-1)).toBe('image-0');
  expect(await texts('nav .here')).toEqual(['Page 3 of 3']);
});

test('finds an image by the words typed into its search field, with its manifest and the command to import it', async () => {
  await browser.typeAndSubmit('input[type=search]', 'bsd IMAGE-4 1.4.0');
  expect(await texts('td.name')).toEqual(['image-4']);
  expect(await texts('.count')).toEqual(['1 image for “bsd IMAGE-4 1.4.0”']);
  expect(await texts('.command')).toEqual([`imgctl import -S ${url} ${uuidOf(4)}`]);
  await browser.click('summary', {leads: false});
  const [shown] = (await texts('details pre')) as string[];
  const served = await fetch(`${url}/images/${uuidOf(4)}`, {headers: {'accept-version': '~2'}});
  expect(JSON.parse(shown!)).toEqual(await served.json());
  await browser.typeAndSubmit('input[type=search]', 'nothing like it');
  expect(await texts('main')).toEqual([expect.stringMatching(/^No images for/)]);
});

test('shows what is hostile in an image as text, and runs nothing', async () => {
  await browser.typeAndSubmit('input[type=search]', '<script>');
  expect(await texts('td.name')).toEqual([hostileName]);
  await browser.click('summary', {leads: false});
  expect(await texts('details p bdi')).toEqual(['</pre><script>1</script>']);
  expect(await browser.evaluate('document.title')).toBe('<script> – Images');
  expect(await browser.evaluate('document.querySelectorAll("script, img, b").length')).toBe(0);
  expect(browser.complaints).toEqual([]);
});

test('is styled by its own sheet under a policy that forbids everything else', async () => {
  expect(await browser.evaluate('getComputedStyle(document.querySelector("table")).borderCollapse')).toBe(
    'collapse',
  );
  const {headers} = await fetch(url, {headers: {accept: 'text/html'}});
  expect(headers.get('content-security-policy')).toMatch(
    /^default-src 'none'; style-src 'self'; img-src 'self' data:;/,
  );
  expect(browser.complaints).toEqual([]);
});

test('programs that name JSON, or nothing, get JSON at the same address', async () => {
  for (const accept of ['application/json', '*/*', 'text/html, application/json;q=0.9']) {
    const answer = await fetch(`${url}/images`, {headers: {accept}});
    expect([answer.headers.get('content-type'), answer.headers.get('vary')]).toEqual([
      'application/json',
      'Accept, Authorization',
    ]);
  }
  expect((await fetch(url, {redirect: 'manual'})).headers.get('location')).toBe('/images');
});
