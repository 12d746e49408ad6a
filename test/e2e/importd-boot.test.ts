/**
 * The service as an administrator installs it: the files of share/ in the trees of systemd 257 and 262, booted, and driven by
 * the tools of each.
 */

import {execFileSync} from 'node:child_process';
import {createHash, randomBytes} from 'node:crypto';
import {mkdirSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest';
import {BootedTree, bootLimitSeconds, canBoot, serverUrl} from './import-generator/booted.ts';

const disk = randomBytes(256 * 1024);
const digest = createHash('sha256').update(disk).digest('hex');
const node = 'node';
const importd = 'systemd-importd';

vi.setConfig({testTimeout: bootLimitSeconds * 1000});

let tree: BootedTree;
beforeEach(() => {
  tree = new BootedTree();
  tree.installService();
  for (const name of ['disk.raw', 'a.raw', 'b.raw', 'c.raw']) writeFileSync(tree.onServer(name), disk);
  const folder = path.join(tree.directory, 'app');
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'file.txt'), 'in a tree\n');
  execFileSync('tar', ['-C', folder, '-cJf', tree.onServer('app.tar.xz'), '.']);
});
afterEach(() => tree.end());

/** `say NAME COMMAND...`: a line `NAME STATUS OUTPUT` with the output on one line. */
const prelude = `
U=${serverUrl}
say() { local name=$1 out rc=0; shift; out=$("$@" 2>&1) || rc=$?; echo "$name|$rc|$(tr '\\n' ' ' <<<"$out" | sed 's/ *$//')"; }
bus() { busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus "$@"; }
owner() { local pid; pid=$(bus GetConnectionUnixProcessID s org.freedesktop.import1) && basename "$(readlink "/proc/\${pid#u }/exe")"; }
nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
import1() { local member=$1; shift; busctl call org.freedesktop.import1 /org/freedesktop/import1 org.freedesktop.import1.Manager "$member" "$@"; }
`;

type Lines = Record<string, {status: string; text: string}>;

function linesOf(log: string): Lines {
  const rows = log.split('\n').map((line) => line.split('|'));
  return Object.fromEntries(
    rows
      .filter((row) => row.length >= 3)
      .map(([name = '', status = '', ...text]) => [name, {status, text: text.join('|')}]),
  );
}

function run(suite: string, script: string): {log: string; said: Lines; sums: Map<string, string>} {
  const sums =
    'cd /; find var/lib/{machines,portables,extensions,confexts} -type f ! -path "*/.*" -exec sha256sum -z {} + >/out/sums';
  const booted = tree.runScript(suite, `${prelude}${script}\n${sums}\n`);
  const log = booted.read('log');
  return {log, said: linesOf(log), sums: booted.sums()};
}

const enabling = `
say before import1 ListTransfers
say owner-before owner
say enable systemctl enable --quiet imgctl-importd.service
say verify systemd-analyze verify --man=no imgctl-importd.service imgctl-importd.socket
say links find /etc/systemd/system -lname '*imgctl-importd*' -printf '%P -> %l\\n'
say owner-enabled owner
say restart systemctl restart imgctl-importd.service
say activated import1 ListTransfers
say owner-after owner
`;

const transfers = `
say machine importctl -m pull-raw --verify=no $U/disk.raw one
say portable importctl -P pull-raw --verify=no $U/disk.raw one
say sysext importctl -S pull-raw --verify=no $U/disk.raw one
say confext importctl -C pull-raw --verify=no $U/disk.raw one
say tree importctl -P pull-tar --verify=no $U/app.tar.xz app
say machinectl machinectl pull-raw --verify=no $U/a.raw by-machinectl
say export importctl -m export-raw one /out/exported
say exported bash -c 'sha256sum </out/exported | cut -c 1-64'
say export-tree importctl -P export-tar app /out/exported.tar
say varlink varlinkctl call --more /run/systemd/io.systemd.Import io.systemd.Import.Pull '{"remote":"'$U/b.raw'","type":"raw","class":"machine","verify":"no","local":"by-varlink"}'
say filtered grep -c '^Seccomp:.2' /proc/$(systemctl show --value -p MainPID imgctl-importd.service)/status
`;

const users = `
say list-nobody nobody busctl call org.freedesktop.import1 /org/freedesktop/import1 org.freedesktop.import1.Manager ListImages st sysext 0
say pull-nobody nobody importctl -m pull-raw --verify=no $U/c.raw nobody
say varlink-nobody nobody varlinkctl call --more /run/systemd/io.systemd.Import io.systemd.Import.Pull '{"remote":"'$U/c.raw'","type":"raw","class":"machine","verify":"no","local":"nobody"}'
`;

const managing = `
say level-nobody nobody busctl set-property org.freedesktop.import1 /org/freedesktop/LogControl1 org.freedesktop.LogControl1 LogLevel s debug
say level systemctl service-log-level imgctl-importd.service
say set-level systemctl service-log-level imgctl-importd.service warning
say level-now systemctl service-log-level imgctl-importd.service
say target systemctl service-log-target imgctl-importd.service
pid() { systemctl show --value -p MainPID imgctl-importd.service; }
first=$(pid)
say hangup systemctl kill --kill-whom=main -s HUP imgctl-importd.service
say still import1 ListTransfers
say same-process test "$first" = "$(pid)"
say stop systemctl stop imgctl-importd.service
say result systemctl show --value -p Result,ExecMainStatus imgctl-importd.service
say again import1 ListTransfers
say owner-again owner
say by-unit systemctl is-active imgctl-importd.service
`;

const disabling = `
say disable systemctl disable --quiet --now imgctl-importd.service imgctl-importd.socket
say socket systemctl start systemd-importd.socket
say given-back import1 ListTransfers
say owner-last owner
say varlink-last varlinkctl info /run/systemd/io.systemd.Import
say remaining find /etc/systemd/system -lname '*imgctl-importd*'
`;

/** What must hold wherever it is installed. */
function expectTakenAndGivenBack({said, log}: {said: Lines; log: string}, refused: readonly string[]): void {
  const failing = Object.entries(said).filter(([, {status}]) => status !== '0');
  expect({failing: failing.map(([name]) => name), log}).toEqual({failing: refused, log});
  const owners = ['before', 'enabled', 'after', 'again', 'last'].map((when) => said[`owner-${when}`]?.text);
  expect(owners).toEqual([importd, importd, node, node, importd]);
  expect(new Set(said.links?.text.split(/ (?=\S+ ->)/))).toEqual(
    new Set(tree.enablingLinks().map(([name, target]) => `${name} -> ${target}`)),
  );
  expect(['result', 'by-unit', 'remaining'].map((name) => said[name]?.text)).toEqual([
    'success 0',
    'active',
    '',
  ]);
  expect(['level', 'level-now', 'target'].map((name) => said[name]?.text)).toEqual([
    'info',
    'warning',
    'auto',
  ]);
  expect(said['varlink-last']?.text).toContain('systemd-importd');
}

describe('the service, when it is enabled,', () => {
  test.runIf(canBoot('sid'))('takes the place of systemd-importd 262, and gives it back', () => {
    expectTakenAndGivenBack(run('sid', enabling + managing + disabling), ['level-nobody']);
  });

  test.runIf(canBoot('trixie'))(
    'does all work of systemd-importd 257, within the sandbox of its unit',
    () => {
      const denied = ['pull-nobody', 'varlink-nobody', 'level-nobody'];
      const {said, log, sums} = run('trixie', enabling + transfers + users + managing + disabling);
      expectTakenAndGivenBack({said, log}, denied);
      for (const place of ['machines/one', 'portables/one', 'extensions/one', 'confexts/one'])
        expect({place, sum: sums.get(`var/lib/${place}.raw`)}).toEqual({place, sum: digest});
      expect(sums.get('var/lib/machines/by-machinectl.raw')).toBe(digest);
      expect(sums.get('var/lib/machines/by-varlink.raw')).toBe(digest);
      expect(sums.has('var/lib/portables/app/file.txt')).toBe(true);
      expect(said.exported?.text).toBe(digest);
      expect([...sums.keys()].filter((name) => name.includes('nobody'))).toEqual([]);
      expect(said['list-nobody']?.text).toMatch(/^a\(ssssbtttttt\) 1 "sysext" "one" "raw"/);
      expect(said['pull-nobody']?.text).toContain('Access denied');
      expect(said['varlink-nobody']?.text).toContain('org.varlink.service.PermissionDenied');
    },
  );
});

test.runIf(canBoot('sid'))('answers the units of the boot before there is a bus', () => {
  tree.enableService();
  const pull = (options: string, name: string, file: string) =>
    `systemd.pull=${options}:${name}:${serverUrl}/${file}`;
  const booted = tree.boot({
    suite: 'sid',
    target: 'imports.target',
    configuration: {generator: {form: 'varlink'}},
    words: [
      pull('raw,machine,verify=no', 'one', 'disk.raw'),
      pull('tar,portable,verify=no', 'app', 'app.tar.xz'),
      pull('raw,confext,verify=no,runtime=yes', 'run', 'a.raw'),
      pull('raw,sysext,verify=no', 'two', 'b.raw'),
      pull('raw,machine,verify=no', 'missing', 'missing.raw'),
    ],
  });
  const sums = booted.sums();
  expect([...sums.keys()].sort()).toEqual([
    'run/confexts/run.raw',
    'var/lib/extensions/two.raw',
    'var/lib/machines/one.raw',
    'var/lib/portables/app/file.txt',
  ]);
  expect(sums.get('run/confexts/run.raw')).toBe(digest);
  const agents = booted.read('http').match(/(?<=User-Agent=)[a-z-]+/g);
  expect(new Set(agents)).toEqual(new Set(['imgctl']));
  expect(booted.report().wishes.map(({name, outcome}) => [name, outcome])).toEqual([
    ['one', 'pulled'],
    ['app', 'pulled'],
    ['run', 'pulled'],
    ['two', 'pulled'],
    ['missing', 'failed'],
  ]);
});
