/** The npm package, installed for real: no registry, no compiler, no folder of ours. */

import {execFileSync, spawnSync} from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {commands} from '../../src/commands/index.ts';
import {World} from '../support/world.ts';

const root = path.join(import.meta.dirname, '../..');
const scratch = mkdtempSync(path.join(os.tmpdir(), 'imgctl-package.'));
const prefix = path.join(scratch, 'prefix');
const world = new World();

beforeAll(async () => {
  const script = path.join(root, 'scripts/package-npm.ts');
  const file = execFileSync(process.execPath, [script, scratch], {encoding: 'utf8'}).trim();
  const cache = path.join(scratch, 'cache');
  // An address nobody answers: whatever asked a registry would fail.
  const words = ['--offline', '--registry', 'http://127.0.0.1:1/', '--cache', cache, '--silent'];
  execFileSync('npm', ['install', '--global', '--prefix', prefix, ...words, file], {cwd: scratch});
  world.env.PATH = `${prefix}/bin:${path.dirname(process.execPath)}:/usr/bin:/bin`;
  await world.start();
}, 200_000);
afterAll(async () => {
  await world.end();
  rmSync(scratch, {recursive: true, force: true});
});

test('all programs answer under their names', () => {
  const version = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).version;
  expect(world.run(['--version']).stdout).toBe(`imgctl ${version}\n`);
  expect(world.run(['--version'], 'imgadm').stdout).toBe(`imgadm ${version}\n`);
  expect(world.run(['--version'], 'importctl').stdout).toMatch(`imgctl ${version} (${version})\n+`);
  const units = path.join(scratch, 'units');
  mkdirSync(units);
  expect(world.run([units], 'systemd-import-generator')).toMatchObject({status: 0});
  expect(existsSync(path.join(prefix, 'bin/imgctl-importd'))).toBe(true);
});

test('an image in xz goes through publish, import and clone', () => {
  const tree = spawnSync('sh', ['-c', 'mkdir -p t/etc && echo hi >t/etc/hi && tar -C t -cJf - .'], {
    cwd: scratch,
  });
  const {uuid} = world.publish(tree.stdout, {name: 'packed', files: undefined, ...filesOf(tree.stdout)});
  expect(world.run(['import', '-q', 'packed'])).toMatchObject({status: 0, stderr: ''});
  expect(world.run(['clone', uuid, 'web1'])).toMatchObject({status: 0});
  expect(readFileSync(path.join(world.root, 'var/lib/machines/web1/etc/hi'), 'utf8')).toBe('hi\n');
  expect(JSON.parse(world.run(['list', '-j']).stdout)).toHaveLength(1);
  expect(world.run(['doctor', '-j']).stdout).not.toContain('"problem"');
});

function filesOf(bytes: Buffer): object {
  const sha1 = execFileSync('sha1sum', {input: bytes, encoding: 'utf8'}).slice(0, 40);
  return {files: [{sha1, size: bytes.length, compression: 'xz'}]};
}

test('every command has its manual page in place, and completion is there', () => {
  const names = commands.ids('imgctl').map((id) => `imgctl-${id.replaceAll(' ', '-')}`);
  const env = {...world.env, MANPATH: path.join(prefix, 'share/man')};
  const {status, stdout} = spawnSync('man', ['-w', 'imgctl', ...names], {env, encoding: 'utf8'});
  expect([status, stdout.trim().split('\n').length]).toEqual([0, names.length + 1]);
  const share = path.join(prefix, 'lib/node_modules/imgctl/share');
  for (const place of ['zsh/site-functions/_imgctl', 'fish/vendor_completions.d/imgctl.fish'])
    expect(readFileSync(path.join(share, place), 'utf8')).toContain('_imgctl_complete');
});

test('a plain npm pack holds program, manual and completion', () => {
  const copy = path.join(scratch, 'checkout');
  const {man, scripts, files} = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const pages = readdirSync(path.join(root, 'man')).sort();
  expect(man).toEqual(pages.map((page) => `./man/${page}`));
  for (const part of [...files, 'package.json', 'scripts'])
    if (existsSync(path.join(root, part)))
      cpSync(path.join(root, part), path.join(copy, part), {recursive: true, verbatimSymlinks: true});
  symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
  // What comes before is the build, which is there.
  const [, words] = /&& node (scripts\/stage\.ts .*)$/.exec(scripts.prepack) ?? [];
  execFileSync(process.execPath, (words ?? '').split(' '), {cwd: copy});
  const pack = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const [{files: packed}] = JSON.parse(execFileSync('npm', pack, {cwd: copy, encoding: 'utf8'}));
  const names = packed.map((file: {path: string}) => file.path);
  expect(names).toEqual(expect.arrayContaining(man.map((page: string) => page.slice(2))));
  for (const name of [
    'bin/imgctl',
    'bin/imgctl-importd',
    'dist/main.cjs',
    'dist/native.node',
    'dist/share/bash-completion/completions/imgadm',
    'dist/share/fish/vendor_completions.d/imgctl.fish',
    'dist/share/zsh/site-functions/_imgctl',
    'schemas/output/list.schema.json',
  ])
    expect(names).toContain(name);
});
