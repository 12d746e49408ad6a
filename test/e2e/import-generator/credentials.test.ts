/** Encrypted credentials, made by the real systemd-creds: our generator takes and refuses what systemd's takes and refuses. */

import {execFileSync} from 'node:child_process';
import {existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {hasTree, oracle} from './real-generator.ts';

const root = path.join(import.meta.dirname, '../../..');
let directory = '';
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-credentials.'));
});
afterEach(() => {
  rmSync(directory, {recursive: true, force: true});
});

const encrypt = 'systemd-creds --quiet --name=import.pull --with-key=host';
/** Each makes enc/import.pull out of plain. */
const cases: Readonly<Record<string, string>> = {
  'with the key of the host': `${encrypt} encrypt plain enc/import.pull`,
  'without a key': 'systemd-creds --quiet --name=import.pull --with-key=null encrypt plain enc/import.pull',
  'under another name': 'systemd-creds --quiet --name=other --with-key=host encrypt plain enc/import.pull',
  'that is out of date': `${encrypt} --timestamp=2020-01-01 --not-after=2020-01-02 encrypt plain enc/import.pull`,
  'that was tampered with': `${encrypt} encrypt plain - | tr A-M a-m >enc/import.pull`,
  'that is empty': ': >enc/import.pull',
  'that is a loop of links': 'ln -s import.pull enc/import.pull',
  'that is not there': ':',
  'beside one in the clear': `${encrypt} encrypt plain enc/import.pull; echo raw,machine:clear:http://h/x >creds/import.pull`,
};
const accepted = ['with the key of the host', 'without a key'];

/** What Node needs and the tree lacks goes into the tree, so that our program runs beside systemd-creds. */
const script = `
cd "$1"; shift
ldd "$1" | awk '$2 == "=>" {print $3}' | while read -r library; do
  [ -e "$ORACLE_ROOT$library" ] || cp -L --parents "$library" "$ORACLE_ROOT/"
done
shift
in-tree sh -euc '
  echo raw,machine:secret:http://h/x >plain
  mkdir enc creds
  eval "$1" >/dev/null 2>&1
  export SYSTEMD_PROC_CMDLINE= SYSTEMD_IN_INITRD=0 IMGCTL_GENERATOR_FORM=varlink SYSTEMD_LOG_TARGET=console
  export CREDENTIALS_DIRECTORY=$PWD/creds ENCRYPTED_CREDENTIALS_DIRECTORY=$PWD/enc
  run() { mkdir $1; status=0; $2 $PWD/$1 2>$1.messages || status=$?; echo $status >$1.status; }
  run real /usr/lib/systemd/system-generators/systemd-import-generator
  run ours "$2"
' sh "$@"
`;

test.runIf(hasTree('sid')).each(Object.entries(cases))('a credential %s', (what, make) => {
  const shares = [directory, root, realpathSync(path.join(root, 'node_modules'))].flatMap((each) => [
    '--share',
    each,
  ]);
  const node = path.join(root, 'node_modules/node/bin/node');
  const words = [directory, node, make, path.join(root, 'bin/systemd-import-generator')];
  const run = path.join(oracle, 'run.sh');
  execFileSync(run, ['--no-importd', ...shares, 'sid', '--', 'bash', '-euc', script, 'bash', ...words]);
  const read = (name: string): string => readFileSync(path.join(directory, name), 'utf8');
  const units = (name: string): string[] =>
    readdirSync(path.join(directory, name), {recursive: true, encoding: 'utf8'}).sort();
  expect(units('ours')).toEqual(units('real'));
  expect(existsSync(path.join(directory, 'ours/systemd-import@var-lib-machines-secret.raw.service'))).toBe(
    accepted.includes(what),
  );
  expect(read('ours.status')).toBe(read('real.status'));
  expect(read('ours.messages')).toBe(read('real.messages'));
});
