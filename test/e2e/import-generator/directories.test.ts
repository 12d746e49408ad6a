/** Output directories in which something is in the way: our generator does and says what systemd's does and says. */

import {spawnSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {runBoth} from './in-tree.ts';
import {hasTree} from './real-generator.ts';

const unit = 'systemd-import@var-lib-machines-a.raw.service';
const loop = 'systemd-loop@var-lib-machines-a.raw.service';
const commandLine = 'systemd.pull=raw,machine,blockdev:a:http://h/x systemd.pull=raw,machine:b:http://h/x';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-directories.'));
});
afterEach(() => {
  rmSync(directory, {recursive: true, force: true});
});

test.runIf(hasTree('sid')).each([
  ['a file where links go', 'echo >imports.target.wants', '1'],
  ['a link to nowhere where links go', 'ln -s nowhere imports.target.wants', '1'],
  ['a link to nowhere under the name of the unit', `ln -s nowhere ${unit}`, '1'],
  ['a directory under the name of the unit', `mkdir ${unit}`, '1'],
  ['another link of that name', `mkdir imports.target.wants; ln -s /other imports.target.wants/${unit}`, '0'],
  ['a file in place of a link', `mkdir imports.target.wants; echo >imports.target.wants/${loop}`, '0'],
])('%s', (_what, output, status) => {
  const {real, ours} = runBoth(directory, {commandLine, output});
  expect(ours).toEqual(real);
  expect(ours.status.trim()).toBe(status);
});

test.runIf(process.geteuid?.() === 0)('on a full file system no half of a unit stays', () => {
  const units = path.join(directory, 'units');
  mkdirSync(units);
  const program = path.join(import.meta.dirname, '../../../bin/systemd-import-generator');
  const script =
    'mount -t tmpfs -o size=8k,nr_inodes=20 tmpfs "$1"; status=0; "$2" "$1" || status=$?; ls "$1"; exit $status';
  const longName = `systemd.pull=raw,machine:big:http://h/${'x'.repeat(20_000)}`;
  const {status, stdout, stderr} = spawnSync(
    'unshare',
    ['--mount', 'sh', '-euc', script, 'sh', units, program],
    {
      encoding: 'utf8',
      env: {...process.env, SYSTEMD_IN_INITRD: '0', SYSTEMD_PROC_CMDLINE: `${longName} ${commandLine}`},
    },
  );
  expect(stderr).toMatch(/^Failed to create unit file '.*big\.raw\.service': No space left on device$/m);
  expect(status).toBe(1);
  expect(stdout.split('\n')).toContain(unit);
  expect(stdout).not.toContain('big');
});
