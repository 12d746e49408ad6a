/** A private message bus (the real dbus-daemon) on which everybody may do everything. */
import {execFileSync, spawn} from 'node:child_process';
import {existsSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';

export interface PrivateBus {
  address: string;
  /** For sockets and scripts of the test; removed at the end. */
  directory: string;
  stop(): Promise<void>;
}

/** The interpreter that has python3-dbus, if there is one. */
export const pythonWithDbus = ['/usr/bin/python3', 'python3'].find((python) => {
  try {
    execFileSync(python, ['-c', 'import dbus, dbus.service, gi'], {stdio: 'ignore'});
    return true;
  } catch {
    return false;
  }
});

export const hasBusDaemon = existsSync('/usr/bin/dbus-daemon');

export async function startBus(): Promise<PrivateBus> {
  const directory = mkdtempSync(path.join(tmpdir(), 'imgctl-bus-'));
  const address = `unix:path=${directory}/socket`;
  const config = path.join(directory, 'bus.conf');
  writeFileSync(
    config,
    `<busconfig><type>custom</type><listen>${address}</listen><auth>EXTERNAL</auth>
     <policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
     <allow receive_sender="*"/></policy></busconfig>`,
  );
  const daemon = spawn(
    'dbus-daemon',
    ['--nofork', '--nopidfile', '--print-address', `--config-file=${config}`],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const ended = new Promise<void>((resolve) => daemon.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    daemon.stdout.once('data', () => resolve());
    daemon.once('error', reject);
    void ended.then(() => reject(new Error('the bus did not start')));
  });
  return {
    address,
    directory,
    stop: async () => {
      daemon.kill();
      await ended;
      rmSync(directory, {recursive: true, force: true});
    },
  };
}
