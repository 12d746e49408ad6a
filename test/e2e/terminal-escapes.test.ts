/**
 * Whatever names, servers, archives and directories say, no control character of theirs reaches the terminal: not on standard
 * output, not on standard error, not in JSON (design.md §8; issue "nothing let in").
 */
import {execFileSync} from 'node:child_process';
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {type FakeServer, startFakeServer} from '../support/fake-images.ts';
import {type Outcome, World} from '../support/world.ts';

/** Clears the screen, sets a title, is CSI in one character, deletes; and a line end that would begin a line of its own. */
const evil = 'x\u001b[2J\u001b]0;t\u0007\u009b31m\u007f\u0008\r\ny';
const offered = '11111111-1111-4111-8111-111111111111';
const refused = '22222222-2222-4222-8222-222222222222';
const installed = '33333333-3333-4333-8333-333333333333';

const world = new World();
let server: FakeServer;

beforeAll(async () => {
  const more = {
    description: evil,
    homepage: `http://h/${evil}`,
    tags: {[evil]: evil},
    urn: evil,
    vendor: evil,
  };
  server = await startFakeServer([
    {uuid: offered, more: {...more, version: evil, name: evil}},
    {uuid: refused, more},
  ]);
  server.intercept = (request, response) => {
    if (request.url === '/ping' || request.url?.startsWith('/images?') || request.url === '/images')
      return false;
    if (request.url?.endsWith(`${refused}/file`)) {
      response.writeHead(422, {'content-type': 'application/json'});
      response.end(
        JSON.stringify({code: evil, message: evil, errors: [{field: evil, code: evil, message: evil}]}),
      );
      return true;
    }
    return false;
  };
  world.configure({sources: [{url: server.url, type: 'imgapi', name: 'here'}]});
  const machines = path.join(world.root, 'var/lib/machines');
  mkdirSync(path.join(machines, evil.replaceAll('\n', '')), {recursive: true});
  writeFileSync(path.join(world.directory, 'disk'), 'a disk');
  const files = [{sha1: '9d2ba97d8bd22ab9a0ba6b4e7e52a54e7bd9b6b0', size: 6, compression: 'none'}];
  const manifest = {v: 2, uuid: installed, name: 'good', version: '1', type: 'other', os: 'linux', files};
  const sha1 = execFileSync('sha1sum', [path.join(world.directory, 'disk')], {encoding: 'utf8'}).slice(0, 40);
  Object.assign(files[0]!, {sha1});
  writeFileSync(path.join(world.directory, 'm'), JSON.stringify(manifest));
  const outcome = world.run(['install', '-q', '-m', 'm', '-f', 'disk']);
  expect(outcome).toMatchObject({status: 0});
  // A record from before names were checked, or by other hands.
  const record = path.join(world.root, `var/lib/imgctl/records/${installed}.json`);
  const changed = JSON.parse(readFileSync(record, 'utf8'));
  Object.assign(changed.manifest, {name: evil, version: evil, description: evil, tags: {[evil]: evil}});
  Object.assign(changed, {source: `http://${evil}`, instances: [{name: evil, createdAt: evil}]});
  writeFileSync(record, JSON.stringify(changed));
  world.run(['doctor', '--repair']);
  execFileSync(
    'tar',
    [
      '-cf',
      path.join(world.directory, 'evil.tar'),
      '--transform',
      `s#^#../${evil.replaceAll('\n', '')}#`,
      'm',
    ],
    {
      cwd: world.directory,
    },
  );
});
afterAll(async () => {
  await server.close();
  await world.end();
});

/** What a terminal would obey; line ends and tabs are ours to say. */
function expectHarmless({stdout, stderr}: Outcome): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const found = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.exec(stdout + stderr);
  expect(
    found === null
      ? ''
      : JSON.stringify((stdout + stderr).slice(Math.max(0, found.index - 40), found.index + 20)),
  ).toBe('');
}

const commands: [args: string[], says: RegExp][] = [
  [['avail'], /here|left out/],
  [['avail', '-o', 'uuid,name,version,description,homepage,tags,urn'], /\S/],
  [['avail', '-j'], /\S/],
  [['show', refused], /error/],
  [['show', offered], /error|"uuid"/],
  [['import', refused], /error/],
  [['import', offered], /error/],
  [['list', '-o', 'uuid,name,version,description,tags,source'], /33333333/],
  [['list', '-j'], /33333333/],
  [['list', '--all'], /33333333/],
  [['get', installed], /33333333/],
  [['verify'], /33333333/],
  [['verify', '-j'], /33333333/],
  [['ancestry', installed], /\S/],
  [['vacuum', '-n'], /\S/],
  [['update', '-n'], /\S/],
  [['update', '--check'], /^/],
  [['doctor'], /orphan|no record|agrees/],
  [['doctor', '-j'], /orphan|no record|agrees/],
  [['clone', installed, evil], /error/],
  [['list-images'], /^/],
  [['list-images', '--json=short'], /^/],
  [['list-transfers'], /^/],
  [['delete', evil], /error/],
  [['show', evil], /error/],
  [['import', evil], /error/],
  [['sources', '-a', `http://127.0.0.1:1/${evil}`], /error/],
  [['import-tar', '--class=machine', 'evil.tar', 'evil'], /\S/],
  [['manifest', 'check', evil], /error/],
  [['pull-raw', '--class=machine', '--verify=no', `http://127.0.0.1:1/${evil}`], /\S/],
  [['quarantine'], /^/],
  [['boot-report'], /^/],
  [['cache', 'prune', '-n'], /^/],
  [[evil], /error/],
  [['list', `--${evil}`], /error/],
  [['list', `${evil}=1`], /error/],
];

test.each(commands)('%j says nothing that a terminal would obey', async (args, says) => {
  const outcome = await world.runWhile(['--retries', '0', ...args], async () => undefined);
  expect(outcome.stdout + outcome.stderr).toMatch(says);
  expectHarmless(outcome);
});
