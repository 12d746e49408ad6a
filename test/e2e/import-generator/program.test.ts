/** `bin/systemd-import-generator` as the service manager meets it: through a link, with its log going anywhere, before all else. */

import {spawnSync} from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';

const root = path.join(import.meta.dirname, '../../..');
const unit = 'systemd-import@var-lib-machines-a.raw.service';
const wish = 'systemd.pull=raw,machine:a:http://h/x';

let directory = '';
let link = '';
let units = '';
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-generator.'));
  units = path.join(directory, 'units');
  mkdirSync(units);
  mkdirSync(path.join(directory, 'etc/imgctl/wanted.d'), {recursive: true});
  mkdirSync(path.join(directory, 'generators'));
  link = path.join(directory, 'generators/50-images');
  symlinkSync(path.join(root, 'bin/systemd-import-generator'), link);
});
afterEach(() => {
  rmSync(directory, {recursive: true, force: true});
});

interface Started {
  status: number | null;
  stderr: string;
}

function start(command: readonly string[], env: Record<string, string> = {}): Started {
  const [program = '', ...args] = command;
  const {status, stderr} = spawnSync(program, args, {
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      IMGCTL_ROOT: directory,
      SYSTEMD_IN_INITRD: '0',
      SYSTEMD_PROC_CMDLINE: wish,
      ...env,
    },
  });
  return {status, stderr};
}

test('works through a link in a generator directory, and its units run the program it belongs to', () => {
  expect(start([link, units, units, units])).toEqual({status: 0, stderr: ''});
  const text = readFileSync(path.join(units, unit), 'utf8');
  expect(text).toContain(`ExecStart=:${root}/bin/imgctl pull-raw `.replaceAll('%', '%%'));
});

test('imgctl import-generator writes the same', () => {
  start([link, units]);
  const other = path.join(directory, 'other');
  mkdirSync(other);
  const {status} = start([path.join(root, 'bin/imgctl'), 'import-generator', other]);
  expect(status).toBe(0);
  expect(readdirSync(other, {recursive: true}).sort()).toEqual(readdirSync(units, {recursive: true}).sort());
  expect(readFileSync(path.join(other, unit), 'utf8')).toBe(readFileSync(path.join(units, unit), 'utf8'));
});

test.each([
  [0, 234],
  [1, 0],
  [2, 234],
  [3, 0],
  [4, 234],
])('%i directories end with status %i, as with systemd', (count, status) => {
  expect(start([link, ...new Array(count).fill(units)]).status).toBe(status);
});

test('a log that nobody takes costs no unit', () => {
  const line = `${wish.replace('machine', 'machine,bogus')} ${'systemd.pull=bogus '.repeat(500)}`;
  expect(
    start(['sh', '-c', 'exec "$@" 2>/dev/full', 'sh', link, units], {SYSTEMD_PROC_CMDLINE: line}).status,
  ).toBe(0);
  expect(existsSync(path.join(units, unit))).toBe(true);
});

test.runIf(process.geteuid?.() === 0)('lines to the kernel log are no longer than it takes', () => {
  const kernelLog = path.join(directory, 'kmsg');
  writeFileSync(kernelLog, '');
  const script = 'mount --bind "$1" /dev/kmsg; shift; exec "$@"';
  const {status} = start(['unshare', '--mount', 'sh', '-euc', script, 'sh', kernelLog, link, units], {
    SYSTEMD_LOG_TARGET: 'kmsg',
    SYSTEMD_PROC_CMDLINE: `systemd.pull=${'x'.repeat(3000)} ${wish}`,
  });
  expect(status).toBe(0);
  // A file takes what a device would refuse, so the lengths tell.
  const lines = readFileSync(kernelLog, 'utf8').split('\n');
  expect(lines[0]).toMatch(/^<3>systemd-import-generator\[\d+\]: No local string in pull expression/);
  expect(Math.max(...lines.map((line) => line.length + 1))).toBe(1024);
});

test('what stands in its way in wanted.d is told and passed by', () => {
  const wanted = path.join(directory, 'etc/imgctl/wanted.d');
  const entry = {url: 'http://h/b', type: 'tar', class: 'machine'};
  writeFileSync(path.join(wanted, 'a\nExecStart=x.json'), JSON.stringify(entry));
  expect(spawnSync('mkfifo', [path.join(wanted, 'b.json')]).status).toBe(0);
  writeFileSync(path.join(wanted, 'c.json'), JSON.stringify({...entry, url: 'http://h/c'}));
  const {status, stderr} = start([link, units]);
  expect(status).toBe(0);
  expect(stderr.split('\n')).toEqual([
    expect.stringMatching(/^Control character in the name of a file, ignoring: ".*a\\nExecStart=x\.json"$/),
    expect.stringMatching(/^Failed to read ".*b\.json", ignoring: not a regular file$/),
    '',
  ]);
  expect(readdirSync(units).filter((name) => name.endsWith('.service'))).toHaveLength(2);
});

const hasStrace = spawnSync('strace', ['-V']).status === 0;

test.runIf(hasStrace)('reads a few files, writes into its directory only, and opens no connection', () => {
  const trace = path.join(directory, 'trace');
  const calls = 'openat,open,creat,mkdir,mkdirat,symlink,symlinkat,rename,unlink,socket,connect';
  writeFileSync(path.join(directory, 'etc/imgctl/wanted.d/c.json'), '[]');
  expect(start(['strace', '-f', '-e', `trace=${calls}`, '-o', trace, link, units])).toEqual({
    status: 0,
    stderr: '',
  });
  const lines = readFileSync(trace, 'utf8').split('\n');
  expect(lines.filter((line) => /socket\(|connect\(/.test(line))).toEqual([]);
  const changing = lines.filter((line) =>
    /O_(WRONLY|RDWR|CREAT)|\b(mkdir|symlink|rename|unlink|creat)\w*\(/.test(line),
  );
  const elsewhere = changing.filter((line) => !line.includes(`"${units}/`) && !line.includes('"/dev/null"'));
  expect(elsewhere).toEqual([]);
  expect(changing.length).toBeGreaterThan(2);
  // Of the program, one file; a database or a parser of options would show here.
  const opened = lines.flatMap((line) => /"([^"]+)".* = \d+$/.exec(line)?.[1] ?? []);
  const notOurs = new RegExp(`^(?!${root}/)|/package\\.json$|^${process.execPath}$`);
  const ofProgram = opened.filter((file) => !notOurs.test(file));
  expect(ofProgram).toEqual([path.join(root, 'dist/import-generator.js')]);
});

test.runIf(hasStrace && process.geteuid?.() === 0)(
  'imgctl import-generator loads no database and no parser of options',
  () => {
    const trace = path.join(directory, 'trace');
    const command = [path.join(root, 'bin/imgctl'), 'import-generator', units];
    expect(start(['strace', '-f', '-e', 'trace=openat', '-o', trace, ...command])).toEqual({
      status: 0,
      stderr: '',
    });
    const opened = readFileSync(trace, 'utf8').match(/"[^"]+".* = \d+$/gm) ?? [];
    expect(opened.filter((line) => line.includes('/dist/')).length).toBeGreaterThan(1);
    expect(opened.filter((line) => /sqlite|oclif/.test(line))).toEqual([]);
  },
);

test('is one bundle that loads nothing but Node itself', () => {
  const bundle = readFileSync(path.join(root, 'dist/import-generator.js'), 'utf8');
  const imported = [...bundle.matchAll(/\bfrom\s*"([^"]+)"|\b(?:import|require)\("([^"]+)"\)/g)];
  expect(imported.length).toBeGreaterThan(0);
  for (const [, from, called] of imported) expect(from ?? called).toMatch(/^node:/);
});
