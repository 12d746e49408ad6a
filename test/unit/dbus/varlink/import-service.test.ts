/** io.systemd.Import over a real socket; the transfers' processes are the test's. */
import {existsSync, mkdtempSync, rmSync} from 'node:fs';
import {connect, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {Authority} from '../../../../src/dbus/service/authority.ts';
import {IdleWatch} from '../../../../src/dbus/service/idle-watch.ts';
import {type LogSettings, logTargets} from '../../../../src/dbus/service/log-control.ts';
import {
  type ProcessListener,
  type TransferRequest,
  TransferTable,
} from '../../../../src/dbus/service/transfer-table.ts';
import {ImportVarlink} from '../../../../src/dbus/varlink/import-service.ts';
import {VarlinkServer} from '../../../../src/dbus/varlink/server.ts';

const remote = 'http://host/disk.raw';
const pull = {remote, local: 'd', type: 'raw', class: 'machine', verify: 'no'};

describe('io.systemd.Import', () => {
  let directory: string;
  let server: VarlinkServer;
  let idle: IdleWatch;
  let transfers: TransferTable;
  let processes: {request: TransferRequest; listener: ProcessListener; signals: string[]}[];
  let onStart: () => void;
  let ownUid: number;
  const logSettings: LogSettings = {level: 6, target: logTargets[7], syslogIdentifier: 'test'};

  beforeEach(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'imgctl-varlink-'));
    processes = [];
    onStart = () => undefined;
    ownUid = process.geteuid?.() ?? 0;
    transfers = new TransferTable((request, listener) => {
      const signals: string[] = [];
      processes.push({request, listener, signals});
      setImmediate(() => onStart());
      return {kill: (signal) => void signals.push(signal)};
    });
    idle = new IdleWatch(0, () => undefined);
    const authority = new Authority({ownUid, callerUid: async () => -1, askPolkit: async () => undefined});
    const service = new ImportVarlink({
      ...{transfers, authority, logSettings},
      imageRoots: ['/run/machines', '/var/lib/machines'],
      version: '1',
      environment: {A: 'b'},
    });
    server = new VarlinkServer({mode: 0o666, idle, handler: (call) => service.answer(call)});
    await server.listen(path.join(directory, 'sub/socket'), false);
  });
  afterEach(async () => {
    server.close();
    await idle.stop();
    rmSync(directory, {recursive: true});
  });

  function open(): Socket {
    return connect(path.join(directory, 'sub/socket'));
  }

  /** Replies until one does not continue, or the connection ends. */
  async function call(method: string, parameters: object = {}, more = false): Promise<unknown[]> {
    const socket = open();
    socket.write(`${JSON.stringify({method, parameters, more})}\0`);
    const replies: {continues?: boolean}[] = [];
    let text = '';
    for await (const chunk of socket) {
      text += chunk;
      for (let end = text.indexOf('\0'); end >= 0; end = text.indexOf('\0')) {
        const reply = JSON.parse(text.slice(0, end));
        replies.push(reply);
        text = text.slice(end + 1);
        if (!reply.continues) socket.destroy();
      }
      if (socket.destroyed) break;
    }
    return replies;
  }

  const invalid = (parameter: string) => [
    {error: 'org.varlink.service.InvalidParameter', parameters: {parameter}},
  ];

  test('Pull with more tells the id, lines and progress, and ends with the transfer', async () => {
    onStart = () => {
      processes[0]?.listener.onLog(6, "Pulling 'x'.");
      processes[0]?.listener.onProgress(0.5);
      processes[0]?.listener.onEnd({exitCode: 0, signal: undefined});
    };
    expect(await call('io.systemd.Import.Pull', {...pull, readOnly: true, force: null}, true)).toEqual([
      {parameters: {id: 1}, continues: true},
      {parameters: {log: {priority: 30, message: "Pulling 'x'."}}, continues: true},
      {parameters: {progress: 0.5}, continues: true},
      {},
    ]);
    expect(processes[0]?.request).toMatchObject({
      ...{type: 'pull-raw', imageClass: 'machine', localName: 'd', remote, verify: 'no'},
      ...{force: false, readOnly: true, keepDownload: false, directory: undefined},
    });
  });

  test.each([
    [1, 'TransferFailed', false],
    [1, 'TransferCancelled', true],
  ])('a transfer that ends with status %i is %s', async (exitCode, word, isCancelled) => {
    onStart = () => {
      const [transfer] = transfers.list();
      if (transfer && isCancelled) transfers.cancel(transfer);
      processes[0]?.listener.onEnd({exitCode, signal: undefined});
    };
    const replies = await call('io.systemd.Import.Pull', pull, true);
    expect(replies.at(-1)).toEqual({error: `io.systemd.Import.${word}`});
  });

  test('Pull without more tells the id, and the transfer goes on', async () => {
    expect(await call('io.systemd.Import.Pull', pull)).toEqual([{parameters: {id: 1}}]);
    expect([transfers.list().length, processes[0]?.signals]).toEqual([1, []]);
    expect(await call('io.systemd.Import.Pull', pull)).toEqual([
      {error: 'io.systemd.Import.AlreadyInProgress', parameters: {remote}},
    ]);
    expect(await call('io.systemd.Import.ListTransfers', {class: 'machine'}, true)).toEqual([
      {parameters: {id: 1, type: 'pull_raw', remote, local: 'd', class: 'machine', percent: 0}},
    ]);
    processes[0]?.listener.onEnd({exitCode: 0, signal: undefined});
  });

  test('a caller that goes away takes its transfer with it', async () => {
    const socket = open();
    const cancelled = new Promise<void>((resolve) => {
      onStart = () => socket.destroy();
      const timer = setInterval(() => {
        if (!processes[0]?.signals.length) return;
        clearInterval(timer);
        resolve();
      }, 5);
    });
    socket.write(`${JSON.stringify({method: 'io.systemd.Import.Pull', parameters: pull, more: true})}\0`);
    await cancelled;
    expect(processes[0]?.signals).toEqual(['SIGTERM']);
    processes[0]?.listener.onEnd({exitCode: 1, signal: undefined});
  });

  test.each([
    [{...pull, remote: 'ftp://x/y'}, 'remote'],
    [{...pull, local: 'a/b'}, 'local'],
    [{...pull, type: 'zip'}, 'type'],
    [{remote, class: 'machine'}, 'type'],
    [{...pull, force: 'yes'}, 'force'],
    [{...pull, what: 1}, 'what'],
    [{...pull, imageRoot: 'run/machines'}, 'imageRoot'],
    [{...pull, imageRoot: '/etc'}, 'imageRoot'],
    [{...pull, imageRoot: '/run/machines/../../etc'}, 'imageRoot'],
    [{...pull, imageRoot: '/run/machinesX'}, 'imageRoot'],
  ])('Pull refuses %j by the name of the parameter', async (parameters, name) => {
    expect(await call('io.systemd.Import.Pull', parameters, true)).toEqual(invalid(name));
    expect(processes).toEqual([]);
  });

  test('images may go to or below the directories of the classes', async () => {
    await call('io.systemd.Import.Pull', {...pull, imageRoot: '/run/machines/sub'});
    expect(processes[0]?.request.directory).toBe('/run/machines/sub');
    processes[0]?.listener.onEnd({exitCode: 0, signal: undefined});
  });

  test('lists want more, and no transfer is an error', async () => {
    expect(await call('io.systemd.Import.ListTransfers')).toEqual([
      {error: 'org.varlink.service.ExpectedMore'},
    ]);
    expect(await call('io.systemd.Import.ListTransfers', {}, true)).toEqual([
      {error: 'io.systemd.Import.NoTransfers'},
    ]);
    expect(await call('io.systemd.Import.ListTransfers', {class: 'x'}, true)).toEqual(invalid('class'));
  });

  test('answers what every service of systemd answers', async () => {
    expect(await call('io.systemd.service.Ping')).toEqual([{}]);
    expect(await call('io.systemd.service.SetLogLevel', {level: 7})).toEqual([{}]);
    expect(await call('io.systemd.service.SetLogLevel', {level: 8})).toEqual(invalid('level'));
    expect(await call('io.systemd.service.GetLogLevel')).toEqual([{parameters: {level: 7}}]);
    expect(await call('io.systemd.service.GetEnvironment')).toEqual([{parameters: {environment: ['A=b']}}]);
    expect(await call('org.varlink.service.GetInfo')).toMatchObject([
      {
        parameters: {
          interfaces: ['io.systemd', 'io.systemd.Import', 'io.systemd.service', 'org.varlink.service'],
        },
      },
    ]);
    expect(await call('a.b.C')).toEqual([
      {error: 'org.varlink.service.MethodNotFound', parameters: {method: 'a.b.C'}},
    ]);
    const unknown = {interface: 'a.b'};
    expect(await call('org.varlink.service.GetInterfaceDescription', unknown)).toEqual([
      {error: 'org.varlink.service.InterfaceNotFound', parameters: unknown},
    ]);
  });

  test.each(['garbage', '[]', '{"method":5}', '{"method":"a.b.C","parameters":[]}', ''])(
    'the message %j ends the connection, and the service goes on',
    async (text) => {
      const socket = open();
      socket.write(`${text}\0`);
      for await (const chunk of socket) expect.fail(String(chunk));
      expect(await call('io.systemd.service.Ping')).toEqual([{}]);
    },
  );

  test('the socket is gone when the server has closed', async () => {
    server.close();
    expect(existsSync(path.join(directory, 'sub/socket'))).toBe(false);
  });
});
