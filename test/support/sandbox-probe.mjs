// Tries what a captured unpacker would try; prints NAME=RESULT lines. Arguments: outside directory, other mount, port, pid.
import {spawnSync} from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import {connect} from 'node:net';

const [outside, otherMount, port, pid] = process.argv.slice(2);
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
  'kill parent': () => process.kill(Number(pid), 0),
  mount: () => {
    mkdirSync('mnt');
    run('mount', '-t', 'tmpfs', 'none', 'mnt');
  },
  'user namespace': () => run('unshare', '--user', 'true'),
};

function run(command, ...list) {
  const {status, stderr} = spawnSync(command, list, {encoding: 'utf8', env: {...process.env, LC_ALL: 'C'}});
  if (status !== 0)
    throw Object.assign(new Error(stderr), {code: /not permitted|denied/i.test(stderr) ? 'EPERM' : stderr});
}

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
const socket = connect(Number(port), '127.0.0.1');
socket.on('connect', () => end('OK'));
socket.on('error', (error) => end(error.code));
function end(result) {
  console.log(`connect=${result}`);
  process.exit(0);
}
