/** The service of one user, on that user's bus: asked by the real importctl 262 and by our client, without any right of root. */
import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, expect, test} from 'vitest';
import {hasBusDaemon} from '../support/bus.ts';
import {hasOracle} from '../support/oracle.ts';

const root = path.join(import.meta.dirname, '../..');

const busConfiguration = (directory: string) => `<busconfig><type>session</type>
<listen>unix:path=${directory}/run/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
<allow receive_sender="*"/></policy></busconfig>`;

const script = `
work=$1 root=$2
mkdir -p "$work"/{run,home,tree/etc}
echo ID=x >"$work/tree/etc/os-release"
head -c 99999 /dev/zero >"$work/disk.raw"
tar -C "$work/tree" -cf "$work/tree.tar" .
chown -R 65534:65534 "$work"
export XDG_RUNTIME_DIR=$work/run HOME=$work/home DBUS_SESSION_BUS_ADDRESS=unix:path=$work/run/bus
unset DBUS_SYSTEM_BUS_ADDRESS XDG_STATE_HOME XDG_CACHE_HOME XDG_DATA_HOME XDG_CONFIG_HOME IMGCTL_ROOT
# The checkout may lie where only its owner comes.
mkdir "$work/checkout"
mount --bind "$root" "$work/checkout"
program=$work/checkout/bin
cd "$work"
as() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
ask() { chroot --userspec=65534:65534 --groups= "$ORACLE_ROOT" sh -c 'cd "$0"; importctl --user "$@"' "$work" "$@"; }
as dbus-daemon --nofork --nopidfile --config-file="$work/bus.conf" 2>/dev/null &
until [ -S "$work/run/bus" ]; do sleep 0.05; done
as "$program/imgctl-importd" --user 2>/dev/null &
until [ -S "$work/run/systemd/io.systemd.Import" ]; do sleep 0.05; done
{
	ask -m import-raw disk.raw disk
	ask -S import-tar tree.tar ext
	as "$program/imgctl" --engine dbus import-raw --user -m disk.raw ours
	ask -m export-tar ext out.tar
} >log 2>&1
cat log >&2
ask list-images --no-legend | awk '{print $1, $2, $3}'
ask -S list-images --no-legend
as "$program/imgctl" --engine dbus list-images --user --no-legend | awk '{print $1, $2}'
tar -tf out.tar
stat -c %a run/systemd/io.systemd.Import
`;

let work: string | undefined;
afterEach(() => work !== undefined && rmSync(work, {recursive: true, force: true}));

test.runIf(hasOracle('sid') && hasBusDaemon)(
  "a user's service keeps images of all classes in one place",
  () => {
    work = mkdtempSync(path.join(tmpdir(), 'imgctl-user-'));
    writeFileSync(path.join(work, 'bus.conf'), busConfiguration(work));
    execFileSync('chmod', ['a+rx', work]);
    const bus = path.join(root, 'test/oracle/bus.sh');
    const options = [bus, '--share', root, 'sid', '--', 'bash', '-c', script, 'sh', work, root];
    const output = execFileSync('bash', options, {
      cwd: work,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    expect(output.trim().split('\n')).toEqual([
      'machine disk raw',
      'machine ext directory',
      'machine ours raw',
      'machine disk',
      'machine ext',
      'machine ours',
      './',
      './etc/',
      './etc/os-release',
      '600',
    ]);
    const directory = path.join(work, 'home/.local/state/machines');
    const stored = execFileSync('find', [directory, '-printf', '%P %U\\n'], {encoding: 'utf8'});
    const names = ['', 'disk.raw', 'ext', 'ext/etc', 'ext/etc/os-release', 'ours.raw'];
    expect(stored.trimEnd().split('\n').sort()).toEqual(names.map((name) => `${name} 65534`));
  },
);
