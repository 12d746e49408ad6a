// Tries what a captured unpacker would try; prints NAME=RESULT lines. Arguments: outside directory, other mount, port, pid,
// and a name of sockets: `/run/NAME` listens, and NAME in the abstract space.
import {spawnSync} from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import {connect} from 'node:net';

const [outside, otherMount, port, pid, socketName] = process.argv.slice(2);
const attempts = {
  'write in target': () => writeFileSync('file', 'x'),
  'setgid of another group in target': () => {
    chownSync('file', 0, 42);
    chmodSync('file', 0o2755);
    if ((statSync('file').mode & 0o7777) !== 0o2755) throw new Error('the bit was lost');
  },
  'device node in target': () => run('mknod', 'null', 'c', '1', '3'),
  'create outside': () => writeFileSync(`${outside}/new`, 'x'),
  'overwrite outside': () => writeFileSync(`${outside}/victim`, 'x'),
  'chmod outside': () => chmodSync(`${outside}/victim`, 0o777),
  'chown outside': () => chownSync(`${outside}/victim`, 1, 1),
  'utime outside': () => utimesSync(`${outside}/victim`, 1, 1),
  'rename to outside': () => renameSync('file', `${outside}/renamed`),
  'write on another mount': () => writeFileSync(`${otherMount}/new`, 'x'),
  'file capability in target': () =>
    attribute('tagged', 'security.capability', `0100000200200000${'00'.repeat(12)}`),
  'trusted attribute in target': () => attribute('tagged', 'trusted.probe', '00'),
  'attribute outside': () => attribute(`${outside}/victim`, 'user.probe', '00'),
  'truncate outside': () => truncateSync(`${outside}/victim`, 0),
  'link from outside': () => linkSync(`${outside}/victim`, 'hard'),
  'unlink outside': () => unlinkSync(`${outside}/victim`),
  'kill parent': () => process.kill(Number(pid), 0),
  mount: () => {
    mkdirSync('mnt');
    run('mount', '-t', 'tmpfs', 'none', 'mnt');
  },
  'user namespace': () => run('unshare', '--user', 'true'),
};

/** Node has no call for it. */
function attribute(file, name, hex) {
  const script =
    'import os, sys\ntry: os.setxattr(sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3]))\nexcept OSError as e: import errno; print(errno.errorcode[e.errno])';
  const {stdout, status} = spawnSync('python3', ['-c', script, file, name, hex], {encoding: 'utf8'});
  if (status !== 0) throw new Error(`python3 ended with ${status}`);
  if (stdout !== '') throw Object.assign(new Error(name), {code: stdout.trim()});
}

function run(command, ...list) {
  const {status, stderr} = spawnSync(command, list, {encoding: 'utf8', env: {...process.env, LC_ALL: 'C'}});
  if (status !== 0)
    throw Object.assign(new Error(stderr), {code: /not permitted|denied/i.test(stderr) ? 'EPERM' : stderr});
}

writeFileSync('tagged', '');
for (const [name, attempt] of Object.entries(attempts)) {
  let result = 'OK';
  try {
    attempt();
  } catch (error) {
    result = error.code ?? error.message;
  }
  console.log(`${name}=${result}`);
}
console.log(`capabilities=${/CapEff:\s*(\w+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]}`);
console.log(`no new privileges=${/NoNewPrivs:\s*(\w+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]}`);
console.log(
  `filter on system calls=${/Seccomp:\s*(\w+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]}`,
);
for (const [name, place] of [
  ['connect', {port: Number(port), host: '127.0.0.1'}],
  ['socket of a service', {path: `/run/${socketName}`}],
  ['abstract socket', {path: `\0${socketName}`}],
])
  console.log(`${name}=${await reached(place)}`);
process.exit(0);

function reached(place) {
  return new Promise((resolve) => {
    const socket = connect(place);
    socket.on('connect', () => resolve('OK'));
    socket.on('error', (error) => resolve(error.code));
  });
}
