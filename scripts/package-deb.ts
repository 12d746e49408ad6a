/**
 * Builds imgctl_VERSION_ARCH.deb: `package-deb.ts [DIRECTORY]`, into DIRECTORY or the current folder; prints its path. The
 * program and its own Node lie below /usr/lib/imgctl; files that systemd-container has under the same names are left to it
 * (scripts/debian/README.Debian). Needs a finished build.
 */

import {execFileSync} from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import {gzipSync} from 'node:zlib';
import {stage, writeCompletions} from './stage.ts';

const root = path.dirname(import.meta.dirname);
const parts = path.join(import.meta.dirname, 'debian');
/** Of 2026-01-01, so that the same build gives the same package. */
const epoch = '1767225600';

/** Where systemd-container has a page of this name, ours stays with the program. */
const pagesOfOthers = new Set(['importctl.1']);

function buildTree(tree: string): void {
  const home = path.join(tree, 'usr/lib/imgctl');
  stage(home);
  mkdirSync(path.join(home, 'lib'));
  copyFileSync(process.execPath, path.join(home, 'lib/node'));
  execFileSync('strip', ['--strip-unneeded', '--remove-section=.comment', path.join(home, 'lib/node')]);
  for (const binding of bindingsBelow(home)) execFileSync('strip', ['--strip-unneeded', binding]);
  mkdirSync(path.join(tree, 'usr/bin'), {recursive: true});
  for (const name of ['imgctl', 'imgadm', 'imgctl-importd'])
    symlinkSync(`../lib/imgctl/bin/${name}`, path.join(tree, 'usr/bin', name));
  layOutManual(home, tree);
  layOutDocumentation(home, tree);
  layOutServices(home, tree);
  writeCompletions(tree, {zsh: 'usr/share/zsh/vendor-completions'});
}

function bindingsBelow(directory: string): string[] {
  return readdirSync(directory, {recursive: true, encoding: 'utf8'})
    .filter((name) => name.endsWith('.node'))
    .map((name) => path.join(directory, name));
}

function layOutManual(home: string, tree: string): void {
  for (const page of readdirSync(path.join(home, 'man'))) {
    const section = `man${page.slice(-1)}`;
    const directory = pagesOfOthers.has(page)
      ? path.join(home, 'share/man', section)
      : path.join(tree, 'usr/share/man', section);
    mkdirSync(directory, {recursive: true});
    writeCompressed(path.join(directory, `${page}.gz`), readFileSync(path.join(home, 'man', page)));
  }
  rmSync(path.join(home, 'man'), {recursive: true});
}

function layOutDocumentation(home: string, tree: string): void {
  const directory = path.join(tree, 'usr/share/doc/imgctl');
  const examples = path.join(directory, 'examples');
  mkdirSync(examples, {recursive: true});
  for (const name of ['dbus-1/system-services', 'polkit-1'])
    cpSync(path.join(home, 'share', name), path.join(examples, name), {recursive: true});
  writeCompressed(path.join(directory, 'NEWS.gz'), readFileSync(path.join(home, 'CHANGELOG.md')));
  writeCompressed(path.join(directory, 'changelog.gz'), Buffer.from(changelog()));
  copyFileSync(path.join(home, 'README.md'), path.join(directory, 'README.md'));
  copyFileSync(path.join(parts, 'README.Debian'), path.join(directory, 'README.Debian'));
  writeFileSync(path.join(directory, 'copyright'), copyright(home));
  for (const name of ['README.md', 'CHANGELOG.md', 'LICENSE']) rmSync(path.join(home, name));
  const overrides = path.join(tree, 'usr/share/lintian/overrides');
  mkdirSync(overrides, {recursive: true});
  copyFileSync(path.join(parts, 'lintian-overrides'), path.join(overrides, 'imgctl'));
}

/** Takes them out of the program's folder. */
function layOutServices(home: string, tree: string): void {
  cpSync(path.join(home, 'share/systemd'), path.join(tree, 'usr/lib/systemd'), {recursive: true});
  cpSync(path.join(home, 'share/dbus-1/system.d'), path.join(tree, 'usr/share/dbus-1/system.d'), {
    recursive: true,
  });
  for (const name of ['systemd', 'dbus-1', 'polkit-1'])
    rmSync(path.join(home, 'share', name), {recursive: true});
}

function writeCompressed(file: string, bytes: Buffer): void {
  writeFileSync(file, gzipSync(bytes, {level: 9}));
}

function changelog(): string {
  return `imgctl (${version()}) unstable; urgency=medium

  * See NEWS.gz.

 -- ${maintainer}  Thu, 01 Jan 2026 00:00:00 +0000
`;
}

/** What every package of the program says of its licence, and the texts that Debian has none of. */
function copyright(home: string): string {
  const own = readFileSync(path.join(root, 'LICENSE'), 'utf8');
  const lines = [
    'This package was made from the imgctl sources. The program:',
    '',
    own,
    'It brings Node.js, (c) Node.js contributors, MIT license; see https://github.com/nodejs/node/blob/main/LICENSE',
    'for the libraries within it. LGPL: see /usr/share/common-licenses/LGPL-3. Apache 2.0: see',
    '/usr/share/common-licenses/Apache-2.0. Texts of the others are beside each package, below',
    '/usr/lib/imgctl/node_modules:',
    '',
  ];
  for (const name of packagesBelow(path.join(home, 'node_modules'))) {
    const file = path.join(home, 'node_modules', name, 'package.json');
    const manifest: {version: string; license?: string} = JSON.parse(readFileSync(file, 'utf8'));
    lines.push(`  ${name} ${manifest.version}: ${manifest.license ?? 'see there'}`);
  }
  return `${lines.join('\n')}\n`;
}

function packagesBelow(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) =>
      name.startsWith('@')
        ? readdirSync(path.join(directory, name)).map((each) => `${name}/${each}`)
        : [name],
    )
    .sort();
}

const maintainer = 'imgctl authors <imgctl@imgctl.invalid>';

function version(): string {
  return JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).version;
}

function control(tree: string, architecture: string): string {
  const kib = Math.ceil(sizeOf(tree) / 1024);
  return `Package: imgctl
Version: ${version()}
Architecture: ${architecture}
Maintainer: ${maintainer}
Installed-Size: ${kib}
Depends: libatomic1, libc6 (>= 2.34), libgcc-s1, libstdc++6 (>= 11)
Recommends: bubblewrap, systemd-container
Suggests: btrfs-progs, bash-completion
Section: admin
Priority: optional
Description: find, fetch, verify and manage machine images
 Images are a UUID, a manifest and a file, offered by image servers, and kept
 where systemd looks for machines, portable services and extensions.
 .
 imgctl works as imgadm does on SmartOS, has the verbs of importctl, and can
 stand in for systemd-importd on the bus.
`;
}

function sizeOf(directory: string): number {
  return readdirSync(directory, {recursive: true, encoding: 'utf8'})
    .map((name) => path.join(directory, name))
    .reduce((sum, file) => sum + (statSync(file, {throwIfNoEntry: false})?.size ?? 0), 0);
}

/** Modes as policy has them, whatever the umask of the builder was. */
function setModes(tree: string): void {
  execFileSync('chmod', ['-R', 'u+rwX,go+rX,go-w', tree]);
  execFileSync('find', [path.join(tree, 'usr'), '-type', 'f', '-exec', 'chmod', '0644', '{}', '+']);
  for (const name of readdirSync(path.join(tree, 'usr/lib/imgctl/bin')))
    chmodSync(path.join(tree, 'usr/lib/imgctl/bin', name), 0o755);
  chmodSync(path.join(tree, 'usr/lib/imgctl/lib/node'), 0o755);
}

function writeControl(tree: string, architecture: string): void {
  const directory = path.join(tree, 'DEBIAN');
  const sums = execFileSync('sh', ['-c', 'find usr -type f | LC_ALL=C sort | xargs -d "\\n" md5sum'], {
    cwd: tree,
  });
  mkdirSync(directory);
  writeFileSync(path.join(directory, 'control'), control(path.join(tree, 'usr'), architecture));
  writeFileSync(path.join(directory, 'md5sums'), sums);
  for (const script of ['postinst', 'prerm', 'postrm']) {
    copyFileSync(path.join(parts, script), path.join(directory, script));
    chmodSync(path.join(directory, script), 0o755);
  }
}

function main(into: string): void {
  const architecture = execFileSync('dpkg', ['--print-architecture'], {encoding: 'utf8'}).trim();
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'imgctl-deb.'));
  try {
    const tree = path.join(scratch, 'tree');
    mkdirSync(tree);
    buildTree(tree);
    setModes(tree);
    writeControl(tree, architecture);
    const name = `imgctl_${version()}_${architecture}.deb`;
    const file = path.join(scratch, name);
    execFileSync('dpkg-deb', ['--build', '--root-owner-group', '-Zxz', '-z3', tree, file], {
      env: {...process.env, SOURCE_DATE_EPOCH: epoch},
    });
    mkdirSync(into, {recursive: true});
    copyFileSync(file, path.join(into, `.${name}`));
    renameSync(path.join(into, `.${name}`), path.join(into, name));
    process.stdout.write(`${path.join(into, name)}\n`);
  } finally {
    rmSync(scratch, {recursive: true, force: true});
  }
}

main(path.resolve(process.argv[2] ?? '.'));
