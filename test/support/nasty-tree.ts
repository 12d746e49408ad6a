/** A tree with every kind of thing an unpacker or copier can get wrong. Needs root. */
import {execFileSync} from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import {AT_FDCWD, makeNodeAt, setTimesAt} from '../../src/sys/files.ts';
import {setXattr} from '../../src/sys/xattr.ts';

/** VFS_CAP_REVISION_2 with CAP_NET_RAW permitted and effective, as `setcap cap_net_raw+ep` stores it. */
const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
/** user::rw- user:1234:r-- group::r-- mask::r-- other::--- */
export const accessList = Buffer.from(
  '0200000001000600ffffffff02000400d204000004000400ffffffff10000400ffffffff20000000ffffffff',
  'hex',
);

export function makeNastyTree(root: string): void {
  const at = (name: string) => path.join(root, name);
  mkdirSync(at('usr/bin'), {recursive: true});
  mkdirSync(at('etc'));
  writeFileSync(at('etc/shadow'), 'secret');
  chownSync(at('etc/shadow'), 0, 42);
  chmodSync(at('etc/shadow'), 0o640);
  writeFileSync(at('usr/bin/su'), 'program');
  chownSync(at('usr/bin/su'), 12, 34);
  chmodSync(at('usr/bin/su'), 0o6755);
  writeFileSync(at('usr/bin/ping'), 'program');
  chmodSync(at('usr/bin/ping'), 0o755);
  setXattr(at('usr/bin/ping'), 'security.capability', capability);
  writeFileSync(at('unreadable'), 'x');
  setXattr(at('unreadable'), 'user.binary', Buffer.from([0, 1, 10, 255]));
  chmodSync(at('unreadable'), 0);
  writeFileSync(at('with-acl'), 'x');
  chmodSync(at('with-acl'), 0o640);
  setXattr(at('with-acl'), 'system.posix_acl_access', accessList);
  makeLinks(at);
  makeOddities(at);
  writeFileSync(at('later'), 'last');
  setTimesAt(AT_FDCWD, at('later'), 1_111_111_111_123_456_789n, 1_111_111_111_123_456_789n);
  setTimesAt(AT_FDCWD, at('usr/bin'), 1_000_000_000_000_000_001n, 1_000_000_000_000_000_001n);
  setTimesAt(AT_FDCWD, at('closed'), 999_999_999_999_999_999n, 999_999_999_999_999_999n);
}

function makeLinks(at: (name: string) => string): void {
  writeFileSync(at('first'), 'one inode');
  linkSync(at('first'), at('etc/second'));
  linkSync(at('first'), at('usr/third'));
  symlinkSync('/etc/passwd', at('absolute-link'));
  symlinkSync('../../../../etc', at('escaping-link'));
  symlinkSync('missing', at('dangling'));
  linkSync(at('dangling'), at('dangling-too'));
  lchownSync(at('dangling'), 77, 78);
  lutimesSync(at('dangling'), 1_234_567, 1_234_567);
}

function makeOddities(at: (name: string) => string): void {
  makeNodeAt(AT_FDCWD, at('null'), {type: 'char', mode: 0o666, major: 1, minor: 3});
  makeNodeAt(AT_FDCWD, at('disk'), {type: 'block', mode: 0o660, major: 259, minor: 200_000});
  makeNodeAt(AT_FDCWD, at('pipe'), {type: 'fifo', mode: 0o622});
  chmodSync(at('null'), 0o666);
  const fd = openSync(at('sparse'), 'w');
  ftruncateSync(fd, 50_000_000);
  for (let index = 0; index < 30; index++) writeSync(fd, 'data', index * 1_000_000);
  closeSync(fd);
  mkdirSync(at('sticky'));
  chmodSync(at('sticky'), 0o1777);
  mkdirSync(at('setgid'));
  chownSync(at('setgid'), 5, 6);
  chmodSync(at('setgid'), 0o2775);
  mkdirSync(at('closed/inner'), {recursive: true});
  writeFileSync(at('closed/inner/file'), 'in a closed directory');
  chmodSync(at('closed/inner'), 0o500);
  chmodSync(at('closed'), 0);
  writeFileSync(at('new\nline ünï "quoted"'), '');
  execFileSync('sh', ['-c', 'printf x >"$1/$(printf "not-utf8-\\377")"', 'sh', at('.')]);
  mkdirSync(at(`${'deep/'.repeat(20)}end`), {recursive: true});
  writeFileSync(at('n'.repeat(255)), 'longest name');
}
