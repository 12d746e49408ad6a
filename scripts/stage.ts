/**
 * Lays out a self-contained program: `stage.ts DIRECTORY` makes DIRECTORY with the launchers, the bundle, data, manual,
 * completion scripts, and of the packages that the bundle loads only what runs. Needs a finished build, and is for machines
 * like this one. Both packages are made of it. `--completion DIRECTORY` writes the completion scripts alone, which is what
 * a plain `npm pack` adds.
 */

import {execFileSync} from 'node:child_process';
import {copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import process from 'node:process';

interface PackageFile {
  name: string;
  version: string;
  dependencies?: Record<string, string>;
  [key: string]: unknown;
}

const root = path.dirname(import.meta.dirname);

/** What the bundle leaves outside (scripts/build.ts, `external`). */
export const loadedPackages = ['@oclif/core', 'lzma-native', 'openpgp', 'seek-bzip', 'sqlite3'];

/** Of packages that bring sources, tests or other platforms: the files that run, and the packages they load. */
const trimmed: Readonly<Record<string, {files: string[]; dependencies: string[]}>> = {
  sqlite3: {files: ['lib', 'build/Release/node_sqlite3.node'], dependencies: ['bindings']},
  'lzma-native': {
    files: ['index.js', `prebuilds/linux-${process.arch}/node.napi.node`],
    dependencies: ['node-gyp-build', 'readable-stream'],
  },
  openpgp: {files: ['dist/node/openpgp.mjs'], dependencies: []},
  'seek-bzip': {files: ['lib'], dependencies: []},
};

const ownParts = [
  'bin',
  'dist',
  'man',
  'migrations',
  'schemas',
  'share',
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
];

/** What is no use at run time. */
const needless =
  /(?:\.d\.[cm]?ts|\.map|\.tsbuildinfo|\.md|\.markdown|\.yml|\.ts)$|\/(?:test|tests|docs?|example|examples|\.github|benchmarks?|man)(?:\/|$)/;

export function stage(target: string): void {
  rmSync(target, {recursive: true, force: true});
  mkdirSync(target, {recursive: true});
  for (const part of ownParts)
    cpSync(path.join(root, part), path.join(target, part), {recursive: true, verbatimSymlinks: true});
  const staged = new Set<string>();
  for (const name of loadedPackages) stagePackage(name, root, target, staged);
  const own = readPackage(root);
  const kept = [
    'name',
    'version',
    'description',
    'license',
    'type',
    'engines',
    'bin',
    'man',
    'files',
    'oclif',
  ];
  const manifest = {
    ...Object.fromEntries(kept.map((key) => [key, own[key]])),
    os: ['linux'],
    cpu: [process.arch],
    dependencies: Object.fromEntries(loadedPackages.map((name) => [name, versionOf(name)])),
    bundleDependencies: loadedPackages,
  };
  writeFileSync(path.join(target, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Copies a package and those it loads, each to where it lies here; nested copies stay nested. */
function stagePackage(name: string, from: string, target: string, staged: Set<string>): void {
  const source = findPackage(name, from);
  if (staged.has(source)) return;
  staged.add(source);
  const copy = path.join(target, path.relative(root, source));
  const trim = trimmed[name];
  if (trim)
    for (const file of trim.files)
      cpSync(path.join(source, file), path.join(copy, file), {recursive: true, dereference: true});
  const filter = (file: string): boolean =>
    !needless.test(path.relative(source, file)) && !/^\.|^node_modules$/.test(path.basename(file));
  if (!trim) cpSync(source, copy, {recursive: true, filter});
  const manifest = readPackage(source);
  const wanted = trim?.dependencies ?? Object.keys(manifest.dependencies ?? {});
  const {
    scripts: _scripts,
    devDependencies: _dev,
    optionalDependencies: _optional,
    files: _files,
    ...rest
  } = manifest;
  const dependencies = Object.fromEntries(wanted.map((each) => [each, manifest.dependencies?.[each] ?? '*']));
  mkdirSync(copy, {recursive: true});
  writeFileSync(path.join(copy, 'package.json'), `${JSON.stringify({...rest, dependencies}, null, 2)}\n`);
  for (const licence of ['LICENSE', 'LICENSE.md', 'LICENCE', 'license'])
    if (existsSync(path.join(source, licence))) cpSync(path.join(source, licence), path.join(copy, licence));
  for (const each of wanted) stagePackage(each, source, target, staged);
}

/** As Node finds it: the nearest node_modules upwards. */
function findPackage(name: string, from: string): string {
  for (let directory = from; directory.startsWith(root); directory = path.dirname(directory)) {
    const found = path.join(directory, 'node_modules', name);
    if (existsSync(path.join(found, 'package.json'))) return found;
  }
  throw new Error(`package "${name}" is not installed`);
}

function readPackage(directory: string): PackageFile {
  return JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8'));
}

function versionOf(name: string): string {
  return readPackage(findPackage(name, root)).version;
}

/** Where shells look for completion below a prefix. The bundle says what stands in the files. */
export function writeCompletions(prefix: string, {zsh = 'share/zsh/site-functions'} = {}): void {
  const share = path.join(path.dirname(zsh), '..');
  const places: Record<string, string> = {
    bash: path.join(share, 'bash-completion/completions/imgctl'),
    zsh: path.join(zsh, '_imgctl'),
    fish: path.join(share, 'fish/vendor_completions.d/imgctl.fish'),
  };
  for (const [shell, place] of Object.entries(places)) {
    const file = path.join(prefix, place);
    mkdirSync(path.dirname(file), {recursive: true});
    writeFileSync(file, execFileSync(path.join(root, 'bin/imgctl'), ['completion', shell]));
  }
  // Shells look a program's file up by the program's name. Copies: npm packs no links.
  for (const [place, suffix] of [
    ['bash-completion/completions', ''],
    ['fish/vendor_completions.d', '.fish'],
  ] as const) {
    const directory = path.join(prefix, share, place);
    copyFileSync(path.join(directory, `imgctl${suffix}`), path.join(directory, `imgadm${suffix}`));
  }
}

if (import.meta.main) {
  const words = process.argv.slice(2);
  const [target] = words.filter((word) => word !== '--completion');
  if (target === undefined) throw new Error('usage: stage.ts [--completion] DIRECTORY');
  if (!words.includes('--completion')) stage(path.resolve(target));
  writeCompletions(path.resolve(target));
}
