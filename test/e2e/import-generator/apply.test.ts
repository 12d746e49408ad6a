/** `apply` and `boot-report` against a loopback server, in a root of their own. */

import {randomBytes} from 'node:crypto';
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {Ajv2020} from 'ajv/dist/2020.js';
import {afterEach, beforeEach, expect, test} from 'vitest';
import type {AppliedWish} from '../../../src/actions/apply.ts';
import type {BootReport} from '../../../src/actions/boot-report.ts';
import {type FileServer, startFileServer} from '../../support/file-server.ts';
import {type Outcome, World} from '../../support/world.ts';

let world: World;
let server: FileServer;
beforeEach(async () => {
  world = new World();
  server = await startFileServer(randomBytes(64 * 1024));
});
afterEach(async () => {
  await server.close();
  await world.end();
});

const run = (...args: string[]): Promise<Outcome> => world.runWhile(args, async () => undefined);
const applied = async (...args: string[]): Promise<AppliedWish[]> =>
  parsed('apply', (await run('apply', '-j', ...args)).stdout);
const file = (name: string): Buffer => readFileSync(path.join(world.root, 'var/lib', name));

/** JSON output, held against its published schema. */
function parsed<T>(command: string, text: string): T {
  const schema = path.join(import.meta.dirname, `../../../schemas/output/${command}.schema.json`);
  const validate = new Ajv2020().compile<T>(JSON.parse(readFileSync(schema, 'utf8')));
  const value: unknown = JSON.parse(text);
  if (validate(value)) return value;
  throw new Error(JSON.stringify(validate.errors));
}

function want(...entries: Record<string, unknown>[]): void {
  const directory = path.join(world.root, 'etc/imgctl/wanted.d');
  mkdirSync(directory, {recursive: true});
  writeFileSync(path.join(directory, 'images.json'), JSON.stringify(entries));
}

test('apply fetches what is not there, once, and a dry run says so without doing it', async () => {
  want({url: `${server.url}/a.raw`, type: 'raw', class: 'machine', verify: 'no'});
  expect((await applied('-n')).map(({outcome}) => outcome)).toEqual(['wanted']);
  expect(world.machines()).toEqual([]);
  expect((await applied()).map(({outcome}) => outcome)).toEqual(['pulled']);
  expect(file('machines/a.raw').equals(server.content)).toBe(true);
  const requests = server.requests.length;
  expect((await applied()).map(({outcome}) => outcome)).toEqual(['present']);
  expect(server.requests).toHaveLength(requests);
});

test('a refresh replaces an image only when the server has another one', async () => {
  want({url: `${server.url}/a.raw`, type: 'raw', class: 'sysext', verify: 'no', refresh: true});
  expect((await applied()).map(({outcome}) => outcome)).toEqual(['pulled']);
  const edited = Buffer.from('edited by hand');
  writeFileSync(path.join(world.root, 'var/lib/extensions/a.raw'), edited);
  expect((await applied()).map(({outcome}) => outcome)).toEqual(['unchanged']);
  expect(file('extensions/a.raw').equals(edited)).toBe(true);
  server.content = randomBytes(4096);
  server.etag = '"two"';
  expect((await applied('-n')).map(({outcome}) => outcome)).toEqual(['refresh']);
  expect((await applied()).map(({outcome}) => outcome)).toEqual(['pulled']);
  expect(file('extensions/a.raw').equals(server.content)).toBe(true);
});

test('one that fails is told last, and the next one comes', async () => {
  const sha256 = '0'.repeat(64);
  want(
    {url: `${server.url}/a.raw`, type: 'raw', class: 'machine', verify: sha256},
    {url: `${server.url}/b.raw`, type: 'raw', class: 'machine', verify: 'no'},
  );
  const {stdout, status} = await run('apply', '-j');
  expect(status).toBe(4);
  expect(parsed<AppliedWish[]>('apply', stdout).map(({outcome}) => outcome)).toEqual(['failed', 'pulled']);
  expect(world.machines()).not.toContain('a.raw');
  expect(world.machines()).toContain('b.raw');
});

test('of several failures each is told when it happens, then how many; --fail-fast stops at the first', async () => {
  const wish = (name: string, verify: string) => {
    return {url: `${server.url}/${name}.raw`, type: 'raw', class: 'machine', verify};
  };
  want(wish('a', '0'.repeat(64)), wish('b', 'no'), wish('c', '1'.repeat(64)));
  const failures = (stderr: string) => stderr.split('\n').filter((line) => line.includes(': error ('));
  const all = await run('apply', '-q');
  expect(failures(all.stderr)).toEqual([
    expect.stringMatching(/^imgctl apply: error \(ChecksumError\): .*a\.raw/),
    expect.stringMatching(/^imgctl apply: error \(ChecksumError\): .*c\.raw/),
    'imgctl apply: error (PartlyDone): 2 of 3 images failed',
  ]);
  expect(all.stdout.split('\n').map((line) => line.split(/ +/)[2])).toEqual([
    'OUTCOME',
    'failed',
    'pulled',
    'failed',
    undefined,
  ]);
  expect(all.status).toBe(4);
  want(wish('a', '0'.repeat(64)), wish('c', '1'.repeat(64)));
  const none = await run('apply', '-q');
  expect([failures(none.stderr).at(-1), none.status]).toEqual([
    'imgctl apply: error (MultiError): 2 of 2 images failed',
    1,
  ]);
  const fast = await run('apply', '-q', '--fail-fast');
  expect(failures(fast.stderr)).toHaveLength(2);
  expect(fast.stderr).toContain('(ChecksumError): 1 of 2 images failed');
  expect([fast.stdout.split('\n').length, fast.status]).toEqual([3, 5]);
});

test('an expression is done as its unit would do it: an image that is there is an error', async () => {
  const expression = `raw,confext,verify=no:d.raw:${server.url}/x`;
  expect((await run('apply', '--pull', expression)).status).toBe(0);
  expect(file('confexts/d.raw.raw').equals(server.content)).toBe(true);
  expect((await run('apply', '--pull', expression)).status).toBe(1);
  const skipping = expression.replace('verify=no', 'verify=no,skip-if-present');
  expect((await run('apply', '--pull', skipping)).status).toBe(0);
});

test('an expression that is refused is a usage error that says why', async () => {
  const {status, stderr} = await run('apply', '--pull', 'raw:a:http://h/x');
  expect(status).toBe(2);
  expect(stderr).toContain('hint: No image class');
});

test('the boot report tells what came, by which check, and why something did not', async () => {
  const digest = '0'.repeat(64);
  const good = `raw,machine,verify=no:a:${server.url}/a.raw`;
  const bad = `raw,machine,digest=${digest}:b:${server.url}/b.raw`;
  await run('apply', '--pull', good, '--pull', bad);
  const expressions = [good, good, bad, 'raw:c:http://h/c', 'raw,portable:d:http://h/d'];
  world.env.SYSTEMD_PROC_CMDLINE = expressions.map((text) => `systemd.pull=${text}`).join(' ');
  const {stdout, status} = await run('boot-report', '-j');
  const report = parsed<BootReport>('boot-report', stdout);
  expect(report.wishes.map(({name, outcome}) => [name, outcome])).toEqual([
    ['a', 'pulled'],
    ['a', 'duplicate'],
    ['b', 'failed'],
    ['d', 'unknown'],
  ]);
  expect(report.wishes[0]?.verification?.level).toBe('none');
  expect(report.wishes[2]?.why).toMatch(/b\.raw/);
  expect(report.complaints[0]).toContain('No image class');
  expect(status).toBe(6);
});
