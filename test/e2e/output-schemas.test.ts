/**
 * What every command prints with --json, held against its published schema (ux.md §5). One host goes from nothing to all
 * of them, in this order; a command without a line here fails the test.
 */

import {spawnSync} from 'node:child_process';
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {Ajv2020} from 'ajv/dist/2020.js';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {commands} from '../../src/commands/index.ts';
import {serveFiles} from '../served-files.ts';
import {World} from '../support/world.ts';

const world = new World();
const at = (name: string): string => path.join(world.directory, name);
const [base = '', child = '', disk = '', half = ''] = ['1', '2', '3', '4'].map(
  (digit) => `11111111-1111-4111-8111-11111111111${digit}`,
);
const server = (): string => path.join(world.directory, 'server');

beforeAll(async () => {
  mkdirSync(server());
  writeFileSync(
    path.join(server(), 'channels.json'),
    '[{"name": "dev", "default": true}, {"name": "staging"}]',
  );
  await world.start();
  mkdirSync(at('tree/etc'), {recursive: true});
  writeFileSync(at('tree/etc/os-release'), 'ID=x\n');
  const {stdout: bytes} = spawnSync('tar', ['-C', at('tree'), '-c', '.']);
  writeFileSync(at('base.tar'), bytes);
  writeFileSync(at('disk.raw'), Buffer.alloc(1 << 20, 'x'));
  writeFileSync(at('icon.gif'), 'GIF89a');
  world.publish(bytes, {uuid: base, name: 'base', type: 'lx-dataset'});
  world.publish(bytes, {uuid: child, name: 'child', type: 'lx-dataset', origin: base});
  const file = {sha1: '0'.repeat(40), size: 1 << 20, compression: 'none'};
  writeFileSync(at('m.json'), JSON.stringify(manifest({files: [file]})));
  world.publish(Buffer.from('x'.repeat(1 << 20)), {uuid: disk, name: 'disk'});
  mkdirSync(path.join(world.root, 'etc/imgctl/wanted.d'), {recursive: true});
  const wish = {url: `file://${at('disk.raw')}`, type: 'raw', class: 'machine', name: 'wish', verify: 'no'};
  writeFileSync(path.join(world.root, 'etc/imgctl/wanted.d/images.json'), JSON.stringify([wish]));
  mkdirSync(at('units'));
  addUnactivated(bytes);
  mkdirSync(at('old/var/imgadm/images'), {recursive: true});
  writeFileSync(
    at('old/var/imgadm/imgadm.conf'),
    JSON.stringify({sources: [{url: `${world.url}/?channel=dev`}]}),
  );
});
afterAll(() => world.end());

/** As a publish that was cut off leaves it, but whole. */
function addUnactivated(bytes: Buffer): void {
  const curl = (...args: string[]): void => {
    const {status, stderr} = spawnSync('curl', ['-sSf', '-o', at('answer'), ...args], {input: bytes});
    expect([status, String(stderr)]).toEqual([0, '']);
  };
  writeFileSync(
    at('half.json'),
    JSON.stringify(manifest({uuid: half, public: true, published_at: undefined})),
  );
  const url = `${world.url}/images/${half}`;
  curl(
    '-H',
    'Content-Type: application/json',
    '--data-binary',
    `@${at('half.json')}`,
    `${url}?action=import`,
  );
  curl('-T', '-', `${url}/file?compression=none`);
}

function manifest(more: object): object {
  return {v: 2, uuid: disk, name: 'disk', version: '2', type: 'other', os: 'other', ...more};
}

/** A command line behind `imgctl`, and its exit status where that is not 0; `any` where this host decides. */
type Line = readonly [args: string, status?: number | 'any'];

const lines: Line[] = [
  ['avail'],
  ['avail -o help'],
  ['show BASE'],
  ['import -n child'],
  ['import child'],
  ['import child'],
  ['list'],
  ['list --all --docker'],
  ['get base'],
  ['get -r base'],
  ['ancestry child'],
  ['verify'],
  ['ignore child'],
  ['update'],
  ['update --check'],
  ['clone -n child web1'],
  ['clone child web1'],
  ['create -n web1 name=web version=1'],
  ['create -o web web1 name=web version=1 public=true'],
  ['publish -n -m web.imgmanifest -f web.tar URL'],
  ['publish -m web.imgmanifest -f web.tar URL'],
  ['manifest check m.json'],
  ['manifest check --for public m.json', 6],
  ['manifest upgrade m.json'],
  ['install -n -m web.imgmanifest -f web.tar'],
  ['install -m web.imgmanifest -f web.tar'],
  ['delete -n web'],
  ['delete --yes web'],
  ['vacuum -n'],
  ['vacuum -f'],
  ['sources'],
  ['sources -c'],
  ['sources -n -f -a http://127.0.0.1:1 --name other'],
  ['convert disk.raw --to qcow2 -o disk.qcow2'],
  ['pull-raw -m -q --verify=checksum file:///nothing x', 1],
  ['pull-tar -m -q --verify=no file://W/base.tar pulled'],
  ['import-tar -m -q base.tar tree1'],
  ['import-raw -m -q disk.raw raw1'],
  ['import-fs -m -q tree fs1'],
  ['export-tar -m -q tree1 out.tar'],
  ['export-raw -m -q raw1 out.raw'],
  ['list-images'],
  ['list-transfers'],
  ['apply -n'],
  ['apply'],
  ['boot-report', 'any'],
  ['import-generator units'],
  ['quarantine'],
  ['cache prune -n'],
  ['cache prune --all'],
  ['doctor', 'any'],
  ['schema'],
  ['schema list'],
  ['completion bash'],
  ['migrate-imgadm old'],
  ['server activate URL HALF'],
  ['server disable URL BASE'],
  ['server enable URL BASE'],
  ['server update URL BASE description=new'],
  ['server acl URL BASE 930896af-bf8c-48d4-885c-6573a94b1853'],
  ['server add-icon URL BASE icon.gif'],
  ['server channel URL BASE staging'],
  ['server delete --yes URL CHILD'],
];

const told = new Set<string>();
const ajv = new Ajv2020({allErrors: true});

function check(name: string, text: string): void {
  const file = path.join(
    import.meta.dirname,
    `../../schemas/output/${name.replaceAll(' ', '-')}.schema.json`,
  );
  const schema = JSON.parse(readFileSync(file, 'utf8'));
  const validate = ajv.getSchema(schema.$id) ?? ajv.compile(schema);
  validate(JSON.parse(text));
  expect(validate.errors ?? []).toEqual([]);
  told.add(name);
}

/** The words of a line, and which command they are for. */
function parse(text: string): {name: string; args: string[]} {
  const names: Record<string, string> = {URL: world.url, BASE: base, CHILD: child, HALF: half};
  const words = text.split(' ').map((word) => (names[word] ?? word).replace('//W/', `//${world.directory}/`));
  const name = commands.find('imgctl', words)?.id ?? text;
  return {name, args: [...words, name.includes('-') && isTransfer(name) ? '--json=short' : '-j']};
}

function isTransfer(name: string): boolean {
  return /^(pull|import|export)-(tar|raw|fs)$/.test(name);
}

test.each(lines.map(([text, status = 0]) => [text, status] as const))('%s', (text, status) => {
  const {name, args} = parse(text);
  const outcome = world.run(args);
  if (status !== 'any') expect([outcome.status, outcome.stderr]).toEqual([status, expect.any(String)]);
  const what = text.startsWith('schema ') ? undefined : name;
  if (what === undefined) expect(JSON.parse(outcome.stdout).$id).toContain('output');
  else check(what, outcome.stdout);
});

test('a failure is an object of its own', () => {
  const {stdout, stderr, status} = world.run(['get', 'nothing', '-j']);
  expect([status, stdout]).toEqual([3, '']);
  check('error', stderr);
});

test('serve', async () => {
  const outcome = await world.runWhile(
    ['serve', '-j', '--listen', '127.0.0.1:0', 'empty'],
    async (process) => {
      await new Promise((resolve) => process.stdout?.once('data', resolve));
      process.kill('SIGTERM');
    },
  );
  check('serve', outcome.stdout);
});

test('cancel-transfer', async () => {
  const held = await serveFiles();
  let letGo = (): void => undefined;
  const after = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  held.files.set('/held.raw', {body: Buffer.alloc(10), after});
  const pull = ['pull-raw', '-m', '--verify=no', `${held.url}/held.raw`, 'held'];
  await world.runWhile(pull, async (process) => {
    let seen = '';
    await new Promise<void>((resolve) =>
      process.stderr?.on('data', (chunk) => {
        seen += chunk;
        if (seen.includes('Operating on')) resolve();
      }),
    );
    const [, id = ''] = /transfer job (\d+)/.exec(seen) ?? [];
    const running = await world.runWhile(['list-transfers', '-j'], async () => undefined);
    expect(JSON.parse(running.stdout)).toHaveLength(1);
    check('list-transfers', running.stdout);
    const outcome = await world.runWhile(['cancel-transfer', '-j', id], async () => undefined);
    check('cancel-transfer', outcome.stdout);
  });
  letGo();
  await held.close();
});

test('every command has been asked', () => {
  expect(commands.ids('imgctl').filter((id) => !told.has(id))).toEqual([]);
});
