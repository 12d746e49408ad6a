/** A small root file system that can run scripts, made of one static program. */
import {execFileSync} from 'node:child_process';
import {copyFileSync, mkdirSync, symlinkSync, writeFileSync} from 'node:fs';
import path from 'node:path';

/** Files that say what they are, for scripts to take away. */
const mutable = ['old', 'etc/hostname', 'etc/ssh/ssh_host_rsa_key', 'var/log/messages'];

export function makeGuest(root: string): void {
  for (const name of ['bin', 'dev', 'etc/ssh', 'proc', 'sys', 'run', 'tmp', 'usr', 'var/log', 'root'])
    mkdirSync(path.join(root, name), {recursive: true});
  copyFileSync('/bin/busybox', path.join(root, 'bin/busybox'));
  for (const tool of execFileSync('busybox', ['--list']).toString().trim().split('\n'))
    if (tool !== 'busybox') symlinkSync('busybox', path.join(root, 'bin', tool));
  for (const name of mutable) writeFileSync(path.join(root, name), `${name} of before`);
  writeFileSync(path.join(root, 'etc/machine-id'), `${'0123456789abcdef'.repeat(2)}\n`);
  writeFileSync(path.join(root, 'etc/shadow'), 'root:*:1::::::\n');
  writeFileSync(path.join(root, 'etc/os-release'), 'ID=guest\nVERSION_ID=1\n');
}
