/** The service as its socket starts it early in a boot: Varlink at once, the bus when there is one. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {connect} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout} from 'node:timers/promises';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {BusConnection} from '../../src/dbus/bus-connection.ts';
import {removeTree} from '../../src/sys/remove-tree.ts';
import {hasBusDaemon, type PrivateBus, startBus} from '../support/bus.ts';

const program = path.join(import.meta.dirname, '../../bin/imgctl-importd');
const isRoot = process.geteuid?.() === 0;

/** What systemd does for a socket unit. */
const launcher = `
import os, socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
os.dup2(listening.fileno(), 3)
os.set_inheritable(3, True)
os.environ["LISTEN_FDS"] = "1"
os.environ["LISTEN_PID"] = str(os.getpid())
open(os.path.join(os.path.dirname(sys.argv[1]), "listening"), "w").close()
os.execv(sys.argv[2], [sys.argv[2]])
`;

describe.runIf(isRoot && hasBusDaemon)('imgctl-importd with a socket of the service manager', () => {
  let directory: string;
  let bus: PrivateBus | undefined;
  let service: ChildProcess | undefined;
  const at = (name: string) => path.join(directory, name);

  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'imgctl-socket-'));
  });
  afterEach(async () => {
    service?.kill('SIGKILL');
    await bus?.stop();
    await removeTree(at('root'));
    rmSync(directory, {recursive: true});
  });

  /** The last reply of a call. */
  async function ask(method: string, parameters: object = {}, more = false): Promise<{error?: string}> {
    const socket = connect(at('varlink'));
    socket.write(`${JSON.stringify({method, parameters, more})}\0`);
    let text = '';
    for await (const chunk of socket) {
      text += chunk;
      const replies = text
        .split('\0')
        .slice(0, -1)
        .map((reply) => JSON.parse(reply));
      const last = replies.find(({continues}) => !continues);
      if (last) return last;
    }
    throw new Error('the connection ended without an answer');
  }

  test('answers before there is a bus, takes its name when there is one, and leaves the socket alone', async () => {
    service = spawn('/usr/bin/python3', ['-c', launcher, at('varlink'), program], {
      env: {...process.env, DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${at('bus')}`, IMGCTL_ROOT: at('root')},
      stdio: 'ignore',
    });
    const ended = once(service, 'close');
    while (!existsSync(at('listening'))) await setTimeout(5);
    expect(await ask('io.systemd.service.Ping')).toEqual({});
    expect(await ask('io.systemd.Import.ListTransfers', {}, true)).toEqual({
      error: 'io.systemd.Import.NoTransfers',
    });
    writeFileSync(at('disk.raw'), 'x'.repeat(5000));
    const pull = {
      remote: `file://${at('disk.raw')}`,
      type: 'raw',
      class: 'machine',
      local: 'disk',
      verify: 'no',
    };
    expect(await ask('io.systemd.Import.Pull', pull, true)).toEqual({});
    expect(existsSync(at('root/var/lib/machines/disk.raw'))).toBe(true);

    bus = await startBus();
    symlinkSync(path.join(bus.directory, 'socket'), at('bus'));
    const client = await BusConnection.open(bus.address);
    const list = () =>
      client.call({
        ...{destination: 'org.freedesktop.import1', path: '/org/freedesktop/import1'},
        ...{interface: 'org.freedesktop.import1.Manager', member: 'ListTransfers'},
      });
    let rows: readonly unknown[] | undefined;
    while (!rows) {
      rows = await list().catch(() => undefined);
      await setTimeout(5);
    }
    expect(rows).toEqual([[]]);
    service.kill();
    expect(await ended).toEqual([0, null]);
    expect(existsSync(at('varlink'))).toBe(true);
    await client.close();
  });
});
