/** Who may do what, by a real polkitd on a bus of its own; the policy is the one we ship. */
import {execFileSync} from 'node:child_process';
import {existsSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, expect, test} from 'vitest';
import {pythonWithDbus} from '../support/bus.ts';
import {hasOracle} from '../support/oracle.ts';

const polkitd = '/usr/lib/polkit-1/polkitd';
const canRun = hasOracle('sid') && existsSync(polkitd) && pythonWithDbus !== undefined;
const root = path.join(import.meta.dirname, '../..');

const rules = `polkit.addRule(function (action, subject) {
  if (subject.user != "nobody") return undefined;
  if (action.id == "org.freedesktop.import1.pull") return polkit.Result.YES;
  if (action.id == "org.freedesktop.import1.export") return polkit.Result.NO;
});
`;

const script = `
work=$1 root=$2
mount -t tmpfs tmpfs /var/cache
mkdir -p "$work/actions" "$work/rules" /etc/polkit-1/rules.d
cp "$root"/share/polkit-1/actions/* "$work/actions"
mv "$work/10.rules" "$work/rules"
chmod -R a+rX "$work"
mount --bind "$work/actions" /usr/share/polkit-1/actions
mount --bind "$work/rules" /etc/polkit-1/rules.d
owned() { until busctl --quiet status "$1" >/dev/null 2>&1; do sleep 0.05; done; }
${polkitd} --no-debug 2>/dev/null &
owned org.freedesktop.PolicyKit1
"$root/bin/imgctl-importd" 2>/dev/null &
owned org.freedesktop.import1
call() { setpriv --reuid 65534 --regid 65534 --clear-groups ${pythonWithDbus} "$root/test/oracle/dcall.py" "$@"; }
echo x >"$work/file"; chmod a+r "$work/file"
call PullRaw sssb http://127.0.0.1:1/x.raw n no false
call ExportRaw shs n "$work/file" ""
call ImportRaw hsbb "$work/file" n false false
call CancelTransfer u 1
call ListImages st sysext 0 || true
`;

let work: string | undefined;
afterEach(() => work !== undefined && rmSync(work, {recursive: true, force: true}));

test.runIf(canRun)('polkit lets a user do what its rules say, and list without being asked', () => {
  work = mkdtempSync(path.join(tmpdir(), 'imgctl-polkit-'));
  writeFileSync(path.join(work, '10.rules'), rules);
  const bus = path.join(root, 'test/oracle/bus.sh');
  const options = [bus, '--share', root, 'sid', '--', 'bash', '-c', script, 'sh', work, root];
  const output = execFileSync('bash', options, {
    cwd: work,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const interaction = 'org.freedesktop.DBus.Error.InteractiveAuthorizationRequired';
  expect(output.split('\n')).toEqual([
    "reply: (UInt32(1), ObjectPath('/org/freedesktop/import1/transfer/_1'))",
    'error: org.freedesktop.DBus.Error.AccessDenied: Permission denied',
    `error: ${interaction}: Interactive authentication required.`,
    `error: ${interaction}: Interactive authentication required.`,
    "reply: Array([], signature=Signature('(ssssbtttttt)'))",
    '',
  ]);
});
