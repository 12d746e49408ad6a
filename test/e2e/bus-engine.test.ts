/**
 * The commands over the real importd and machined. Like test/contract/engine-dbus.test.ts, this file runs itself once for
 * every version, within the namespaces of test/oracle; paths below /var/lib are those in there.
 */
import {type ChildProcess, execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {setImmediate} from 'node:timers/promises';
import {afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {busAddress} from '../../src/dbus/bus-address.ts';
import {BusConnection} from '../../src/dbus/bus-connection.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {hasOracle, runVitestInOracle} from '../support/oracle.ts';
import {World} from '../support/world.ts';

const version = process.env.IMGCTL_TEST_INSIDE_ORACLE;
/** A whole run of the tests in there. */
const insideMs = 300_000;
const machines = '/var/lib/machines';
const service = 'org.freedesktop.import1';

const inMachines = () => readdirSync(machines).sort();
const records = () => (existsSync('/var/lib/imgctl/records') ? readdirSync('/var/lib/imgctl/records') : []);

if (version)
  describe('inside', () => {
    let world: World;

    beforeAll(() => {
      // Only this namespace sees it.
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/var/cache']);
    });
    beforeEach(async () => {
      world = new World();
      delete world.env.IMGCTL_ROOT;
      world.env.IMGCTL_CONFIG = path.join(world.root, 'etc/imgctl/config.json');
      world.env.IMGCTL_ENGINE = 'dbus';
      await world.start();
    });
    afterEach(async () => {
      for (const name of inMachines()) await removeTree(path.join(machines, name));
      for (const directory of ['/var/lib/imgctl', '/run/imgctl', '/var/cache/imgctl']) {
        rmSync(directory, {recursive: true, force: true});
      }
      await world.end();
    });

    function archive(): Buffer {
      const tree = path.join(world.directory, 'tree');
      mkdirSync(path.join(tree, 'etc'), {recursive: true});
      return execFileSync('tar', ['-C', tree, '-cf', '-', '.']);
    }

    /** A gibibyte of zeros, compressed: it takes the service so long that its worker can be found and stopped. */
    function largeFile(): Buffer {
      return execFileSync('sh', ['-c', 'head -c 1G /dev/zero | gzip -1'], {maxBuffer: 64 << 20});
    }

    function publishLarge(): string {
      const bytes = largeFile();
      const sha1 = createHash('sha1').update(bytes).digest('hex');
      return world.publish(bytes, {files: [{sha1, size: bytes.length, compression: 'gzip'}]}).uuid;
    }

    async function importerPid(): Promise<number> {
      const bus = await BusConnection.open(busAddress('system', process.env));
      const driver = 'org.freedesktop.DBus';
      const [pid] = await bus.call({
        ...{destination: driver, path: '/org/freedesktop/DBus', interface: driver},
        ...{member: 'GetConnectionUnixProcessID', signature: 's', body: [service]},
      });
      await bus.close();
      return Number(pid);
    }

    test('an image is imported, listed, cloned and deleted', () => {
      const {uuid} = world.publish(archive());
      const imported = world.run(['import', uuid]);
      expect(imported).toMatchObject({status: 0});
      expect(imported.stdout).toContain(`Imported image ${uuid} (world@1.0.0)`);
      expect(inMachines()).toEqual([uuid]);
      expect(world.installed()).toEqual([uuid]);
      expect(world.run(['import', uuid]).stdout).toContain('is already installed, skipping');
      expect(world.run(['clone', uuid, 'web1'])).toMatchObject({
        status: 0,
        stdout: `Cloned image ${uuid} to instance "web1" (${machines}/web1)\n`,
      });
      expect(world.run(['clone', uuid, 'web1']).stderr).toContain('error (InstanceExists)');
      const stored = execFileSync('importctl', ['-m', 'list-images', '--no-legend'], {encoding: 'utf8'});
      expect(stored).toMatch(new RegExp(`machine ${uuid} .* yes|machine ${uuid} .*ro`));
      expect(world.run(['delete', uuid]).stderr).toContain('error (ImageHasDependentClones)');
      execFileSync('machinectl', ['remove', 'web1']);
      expect(world.run(['delete', uuid])).toMatchObject({status: 0, stdout: `Deleted image ${uuid}\n`});
      expect({machines: inMachines(), records: records()}).toEqual({machines: [], records: []});
    });

    test('an image is installed from files, and the bytes are the same', () => {
      const disk = Buffer.alloc(3 << 20, 'disk');
      const {uuid} = world.publish(disk);
      const manifest = path.join(world.directory, 'image.imgmanifest');
      chmodSync(world.directory, 0o777); // anybody could change the file while it is handed over
      expect(world.run(['install', '-m', manifest, '-f', path.join(world.directory, 'image')])).toMatchObject(
        {
          status: 0,
        },
      );
      expect(readFileSync(path.join(machines, `${uuid}.raw`)).equals(disk)).toBe(true);
      expect(readdirSync('/var/cache/imgctl/handover')).toEqual([]);
    });

    test('Ctrl-C cancels the transfer of the service and leaves nothing', async () => {
      const uuid = publishLarge();
      const outcome = await world.runWhile(['import', uuid], async (child) => {
        await holdWorker(child, uuid);
        child.kill('SIGINT');
      });
      expect(outcome.status).toBe(130);
      expect({machines: inMachines(), records: records()}).toEqual({machines: [], records: []});
      expect(execFileSync('importctl', ['list-transfers', '--no-legend'], {encoding: 'utf8'})).not.toContain(
        uuid,
      );
    });

    test('a service that dies in the middle loses nothing, and the next run starts it again', async () => {
      const uuid = publishLarge();
      const outcome = await world.runWhile(['import', uuid], async (child) => {
        const worker = await holdWorker(child, uuid);
        process.kill(await importerPid(), 'SIGKILL');
        process.kill(worker, 'SIGKILL'); // as systemd does with what a service leaves
      });
      expect(outcome).toMatchObject({status: 1});
      expect(outcome.stderr).toContain(
        `error (BusUnavailable): "${service}" went away in the middle of a transfer`,
      );
      const again = world.run(['import', uuid]);
      expect(again.stderr).not.toContain('error');
      expect(world.installed()).toEqual([uuid]);
      expect(inMachines().filter((name) => !name.startsWith('.'))).toEqual([`${uuid}.raw`]);
    });

    test('whoever may not is told what would allow it', () => {
      const {uuid} = world.publish(archive());
      chmodSync(world.directory, 0o755);
      const home = path.join(world.directory, 'home');
      mkdirSync(home);
      execFileSync('chown', ['65534', home]);
      const asNobody = [
        '--reuid=65534',
        '--regid=65534',
        '--clear-groups',
        '--',
        'env',
        `HOME=${home}`,
        'imgctl',
      ];
      const refused = world.run([...asNobody, 'import', uuid], 'setpriv');
      expect(refused.status).toBe(1);
      expect(refused.stderr).toContain('error (NotAuthorized): Importing');
      expect(refused.stderr).toContain(
        'hint: run it as root, or have an administrator allow the polkit action "org.freedesktop.import1.import"',
      );
      expect(inMachines()).toEqual([]);
      expect(readdirSync(path.join(home, '.local/share/imgctl/records'))).toEqual([]);
      expect(world.run([...asNobody, 'list'], 'setpriv')).toMatchObject({status: 0, stdout: ''});
    });

    test('what only the embedded engine can do is refused by name', () => {
      const {uuid} = world.publish(archive());
      expect(world.run(['import', '-P', 'sysext', '--name', 'ext', uuid])).toMatchObject({status: 0});
      expect(readdirSync('/var/lib/extensions')).toEqual(['ext']);
      const refused = world.run(['delete', uuid]);
      expect(refused.status).toBe(1);
      expect(refused.stderr).toContain(
        'error (NotSupported): over the bus only images of class machine can be removed, and "ext" is of class sysext',
      );
      expect(world.run(['--engine', 'embedded', 'delete', uuid])).toMatchObject({status: 0});
      expect(world.run(['--root', world.root, 'list']).stderr).toContain(
        'the dbus engine cannot work below --root',
      );
    });

    test('the importctl family transfers, lists and cancels by way of the service', async () => {
      const disk = path.join(world.directory, 'disk.raw');
      writeFileSync(disk, Buffer.alloc(3 << 20, 'disk'));
      mkdirSync(path.join(world.directory, 'tree/etc'), {recursive: true});
      const run = (...args: string[]) => {
        const outcome = world.run(args);
        expect(outcome).toMatchObject({status: 0});
        return outcome;
      };
      run('import-raw', '-m', disk, 'one');
      run('import-fs', '-m', path.join(world.directory, 'tree'), 'two');
      expect(run('pull-raw', '-m', '--verify=no', '-N', `file://${disk}`, 'three').stderr).toMatch(
        /^Enqueued transfer job \d+\..*^Operation completed successfully\.\nExiting\.$/ms,
      );
      const names = JSON.parse(run('list-images', '-j').stdout).map((image: {name: string}) => image.name);
      expect(names).toEqual(['.host', 'one', 'three', 'two']);
      execFileSync('sh', ['-c', 'cat disk.raw | imgctl import-raw -q -m - four'], {
        env: world.env,
        cwd: world.directory,
      });
      expect(readFileSync(path.join(machines, 'four.raw')).equals(readFileSync(disk))).toBe(true);
      run('export-raw', '-m', 'one', path.join(world.directory, 'out'));
      expect(readFileSync(path.join(world.directory, 'out')).equals(readFileSync(disk))).toBe(true);
      const archive = execFileSync('sh', ['-c', 'imgctl export-tar -m two 2>/dev/null | tar -t'], {
        env: world.env,
      });
      expect(String(archive)).toBe('./\n./etc/\n');
      expect(world.run(['cancel-transfer', '77']).stderr).toContain('No transfer by id 77');
    });

    test('a transfer is seen and cancelled by another process', async () => {
      const file = path.join(world.directory, 'zeros.gz');
      writeFileSync(file, largeFile());
      const outcome = await world.runWhile(['import-raw', '-m', file, 'held-image'], async (child) => {
        await holdWorker(child, 'held-image');
        const [transfer] = JSON.parse(world.run(['list-transfers', '-j']).stdout);
        expect(transfer).toMatchObject({type: 'import-raw', local: 'held-image', class: 'machine'});
        expect(world.run(['cancel-transfer', String(transfer.id)])).toMatchObject({status: 0});
      });
      expect(outcome.status).toBe(1);
      expect(inMachines()).toEqual([]);
    });

    test('doctor asks the service', () => {
      const {stdout} = world.run(['doctor']);
      expect(stdout).toMatch(/^ok +engine +org\.freedesktop\.import1 answers on the bus; 0 transfers run$/m);
    });
  });

if (!version)
  describe('the commands over the real importd', () => {
    for (const suite of ['trixie', 'sid']) {
      test.runIf(hasOracle(suite))(`of ${suite}`, {timeout: insideMs}, async () => {
        await runVitestInOracle(suite, import.meta.filename);
      });
    }
  });

/** Stops the worker of the service for an image as soon as it runs, so that the transfer cannot end. */
async function holdWorker(child: ChildProcess, uuid: string): Promise<number> {
  while (child.exitCode === null) {
    const pid = readdirSync('/proc').find((name) => {
      return /^\d+$/.test(name) && isWorker(commandOf(name), uuid);
    });
    if (pid !== undefined) {
      process.kill(Number(pid), 'SIGSTOP');
      return Number(pid);
    }
    await setImmediate();
  }
  throw new Error('the transfer ended before it could be held');
}

function isWorker(command: string, uuid: string): boolean {
  return command.startsWith('/usr/lib/systemd/systemd-import') && command.includes(uuid);
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it has just ended
  }
}
