/** Prepare scripts in real containers: those that succeed, fail, crash, hang and say nothing. Needs root. */
import {type ChildProcess, execFileSync, spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, onTestFinished, test, vi} from 'vitest';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {makeGuest} from '../support/guest.ts';
import {missingFor, withFileSystem} from '../support/loop-fs.ts';
import {listTree} from '../support/tree-listing.ts';
import {Host} from '../support/two-hosts.ts';

const bin = path.join(import.meta.dirname, '../../bin');
const canRun = process.geteuid?.() === 0 && existsSync('/usr/bin/systemd-nspawn');

let directory: string;
let host: Host;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'imgctl-prepare-'));
  host = new Host(path.join(directory, 'host'), {PATH: `${bin}:${process.env.PATH}`}, 'http://127.0.0.1:1');
  makeGuest(host.machine('guest'));
});
afterEach(() => removeTree(directory));

function create(script: string, ...more: string[]) {
  const file = path.join(import.meta.dirname, 'prepare-scripts', `${script}.sh`);
  return host.try('create', '-s', file, '-o', `${directory}/made`, 'guest', ...more);
}

const made = (name: string) => execFileSync('tar', ['-xOf', `${directory}/made.tar`, `./${name}`]).toString();

/** A process that has the instance as its root; gone at the end of the test. */
async function startIn(root: string): Promise<ChildProcess> {
  const holder = spawn('chroot', [root, '/bin/sleep', '1000'], {stdio: 'ignore'});
  onTestFinished(() => void holder.kill('SIGKILL'));
  const {ino} = statSync(root);
  await vi.waitFor(() => expect(statSync(`/proc/${holder.pid}/root`).ino).toBe(ino), 20_000);
  return holder;
}

/** Runs `act` and expects the instance to be what it was, and nothing to be left of the run. */
function leavesNoTrace<Result>(act: () => Result): Result {
  const before = listTree(host.machine('guest'));
  const result = act();
  expect(listTree(host.machine('guest'))).toEqual(before);
  expect(readdirSync(host.machine(''))).toEqual(['guest']);
  expect(spawnSync('pgrep', ['-f', directory]).stdout.toString()).toBe('');
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(directory);
  return result;
}

describe.runIf(canRun)('a prepare script', () => {
  test('that succeeds has changed the image, with the metadata it was given, and not the instance', () => {
    const {status, stdout, stderr} = leavesNoTrace(() => create('success', '--metadata', 'note=of the user'));
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout.split('\n').filter((line) => !line.startsWith(' '))).toEqual([
      'Manifest:',
      'Snapshotting VM "guest" to @imgadm-create-pre-prepare',
      'Preparing VM guest (starting it)',
      'Prepare script is running',
      'Prepare script succeeded',
      'Prepare script stopped VM guest',
      'Snapshotting to "zones/guest@final"',
      `Sending image file to "${directory}/made.tar"`,
      `Saving manifest to "${directory}/made.imgmanifest"`,
      'Rollback VM guest to pre-prepare snapshot (cleanup)',
      '',
    ]);
    expect(made('prepared')).toBe(
      [
        'guest\nof the user\nfirst\nsecond',
        "No metadata for 'lines'\nget: 1",
        'Error putting metadata for key \'sdc:uuid\': Cannot update the "sdc" Namespace.\nput: 2',
        'note\nprepare-image:state\n',
      ].join('\n'),
    );
    expect(execFileSync('tar', ['-tf', `${directory}/made.tar`]).toString()).not.toContain('./old\n');
  });

  test('may do what the stock script does, whose power-off and trace are no failure', () => {
    const {status, stderr} = leavesNoTrace(() =>
      create('stock', '--metadata', 'prepare-image:root-password-hash=HASH'),
    );
    expect(stderr).toBe('');
    expect(status).toBe(0);
    for (const name of ['etc/machine-id', 'etc/hostname', 'var/log/messages']) expect(made(name)).toBe('');
    expect(made('etc/shadow')).toBe('root:HASH:1::::::\n');
    expect(execFileSync('tar', ['-tf', `${directory}/made.tar`]).toString()).not.toContain('ssh_host');
  });

  test.each([
    [
      'error',
      'error (PrepareImageError): prepare-image script error while preparing VM guest:\n    ...\n    line one\n    line two\n',
    ],
    [
      'crash',
      'error (PrepareImageError): prepare-image script error while preparing VM guest: prepare-image script did not complete\n',
    ],
    [
      'hang',
      'error (PrepareImageError): prepare-image script error while preparing VM guest: prepare-image script did not complete\n',
    ],
    ['silent', 'error (PrepareImageDidNotRun): prepare-image script did not run on VM guest boot\n'],
  ])('that ends by %s makes no image, and one clear error', (script, message) => {
    const {status, stderr} = leavesNoTrace(() => create(script, '--prepare-timeout', '2s'));
    expect(status).toBe(1);
    expect(stderr).toContain(message);
    expect(readdirSync(directory)).toEqual(['host']);
  });

  test('that cannot be run says why', () => {
    writeFileSync(`${directory}/script`, '#!/no/such/shell\n');
    const {stderr} = host.try('create', '-s', `${directory}/script`, 'guest');
    expect(stderr).toContain('error (PrepareImageDidNotRun)');
    expect(stderr).toContain('hint: the last it said: execv(/run/imgctl/script) failed');
    rmSync(`${directory}/script`);
    expect(host.try('create', '-s', `${directory}/script`, 'guest').status).toBe(2);
  });

  test('has users of its own, no network, no right to mount, and sees its own processes only', () => {
    const {stderr} = create('confined');
    expect(stderr).toContain('    users: 1\n    links: lo \n    mount: no\n    processes: ');
    expect(Number(/processes: (\d+)/.exec(stderr)?.[1])).toBeLessThan(10);
  });

  test.skipIf(missingFor('btrfs'))(
    'works on a snapshot of an instance that runs, which goes on',
    async () => {
      await withFileSystem('btrfs', 200, async (mount) => {
        const other = new Host(
          path.join(mount, 'host'),
          {PATH: `${bin}:${process.env.PATH}`},
          'http://127.0.0.1:1',
        );
        execFileSync('btrfs', ['-q', 'subvolume', 'create', other.machine('guest')]);
        makeGuest(other.machine('guest'));
        const holder = spawn('chroot', [other.machine('guest'), '/bin/sleep', '1000']);
        await once(holder, 'spawn');
        const script = path.join(import.meta.dirname, 'prepare-scripts/success.sh');
        const fields = ['-o', `${directory}/made`, 'guest', 'name=guest', 'version=1', 'os=linux'];
        expect(other.try('create', ...fields).stderr).toContain(
          'error (VmNotStopped): vm "guest" is not stopped',
        );
        const {status, stderr} = other.try('create', '-s', script, '--metadata', 'note=x', ...fields);
        expect({status, stderr}).toEqual({
          status: 0,
          stderr: 'instance "guest": it is running; the copy is a snapshot of this moment\n',
        });
        expect(made('prepared')).toContain('guest\nx\nfirst');
        expect(readdirSync(other.machine(''))).toEqual(['guest']);
        expect(existsSync(other.machine('guest/old'))).toBe(true);
        expect(holder.exitCode).toBeNull();
        holder.kill('SIGKILL');
        await once(holder, 'exit');
      });
    },
  );

  test('is not started for an instance that runs where no snapshot can be made', async () => {
    const holder = await startIn(host.machine('guest'));
    expect(create('success').stderr).toContain('error (VmNotStopped): vm "guest" is not stopped');
    expect(readdirSync(host.machine(''))).toEqual(['guest']);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
  });

  test('runs in the root file system of a disk, which is whole afterwards', () => {
    const disk = host.machine('disk.raw');
    writeFileSync(disk, '');
    truncateSync(disk, 24 << 20);
    execFileSync('mke2fs', ['-q', '-t', 'ext4', '-d', host.machine('guest'), disk]);
    const before = readFileSync(disk);
    const script = path.join(import.meta.dirname, 'prepare-scripts/success.sh');
    const fields = ['disk', 'name=disk', 'version=1', 'os=linux', '--metadata', 'note=x'];
    host.run('create', '-s', script, '-o', `${directory}/made`, ...fields);
    expect(readFileSync(disk).equals(before)).toBe(true);
    execFileSync('e2fsck', ['-f', '-n', `${directory}/made.raw`], {stdio: 'pipe'});
    const text = execFileSync('debugfs', ['-R', 'cat /prepared', `${directory}/made.raw`], {stdio: 'pipe'});
    expect(text.toString()).toContain('disk\nx\nfirst');
    expect(execFileSync('losetup', ['-a']).toString()).not.toContain(directory);
  });
});
