/** Clients of the service that go away in the middle or do not listen: they harm nobody but themselves. */
import {execFileSync} from 'node:child_process';
import {once} from 'node:events';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {createServer} from 'node:http';
import {createRequire} from 'node:module';
import {type AddressInfo, connect, type Socket} from 'node:net';
import path from 'node:path';
import {setTimeout} from 'node:timers/promises';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {BusConnection} from '../../src/dbus/bus-connection.ts';
import {hasBusDaemon} from '../support/bus.ts';
import {Importd} from '../support/importd.ts';

const isRoot = process.geteuid?.() === 0;
const target = {
  destination: 'org.freedesktop.import1',
  path: '/org/freedesktop/import1',
  interface: 'org.freedesktop.import1.Manager',
};
/** The library's own, which has no types. */
const {marshall}: {marshall(message: object): Buffer} = createRequire(import.meta.url)(
  'dbus-native/lib/message.js',
);

describe.runIf(isRoot && hasBusDaemon)('a client of imgctl-importd', () => {
  let service: Importd;
  let before: number;

  beforeEach(async () => {
    service = await Importd.start();
    await service.call('ListTransfers');
    before = service.openFiles();
  });
  afterEach(() => service.stop());

  /** A pipe by name: both ends open, nothing blocks. */
  function pipe(name: string): {reader: number; writer: number} {
    const fifo = path.join(service.bus.directory, name);
    execFileSync('mkfifo', [fifo]);
    const writer = openSync(fifo, 'r+');
    return {reader: openSync(fifo, 'r'), writer};
  }

  function stored(): string[] {
    const directory = path.join(service.root, 'var/lib/machines');
    return existsSync(directory) ? readdirSync(directory).sort() : [];
  }

  async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await isSo())) await setTimeout(5);
  }

  const runsNothing = async () => ((await service.call('ListTransfers'))[0] as unknown[]).length === 0;
  const importRaw = (name: string, fd: number) => {
    return {...target, member: 'ImportRaw', signature: 'hsbb', body: [0, name, false, false], fds: [fd]};
  };

  function varlink(): Socket {
    const socket = connect(path.join(service.root, 'run/systemd/io.systemd.Import'));
    socket.on('error', () => undefined);
    return socket;
  }

  /** Undefined when the connection ends without one. */
  function firstAnswer(socket: Socket): Promise<string | undefined> {
    return new Promise((resolve) => {
      socket.once('data', (chunk) => resolve(String(chunk)));
      socket.once('close', () => resolve(undefined));
    });
  }

  test('that goes away leaves its transfer to the service', async () => {
    const {reader, writer} = pipe('input');
    const caller = await BusConnection.open(service.bus.address);
    const [id] = await caller.call(importRaw('image', reader));
    await caller.close();
    writeSync(writer, 'data');
    for (const fd of [reader, writer]) closeSync(fd);
    expect(await service.removed(id)).toBe('done');
    expect(stored()).toEqual(['image.raw']);
    await until(() => service.openFiles() <= before);
  });

  test('that goes away before it is answered leaves no descriptor behind', async () => {
    const {reader, writer} = pipe('input');
    for (let count = 0; count < 15; count += 1) {
      const caller = await BusConnection.open(service.bus.address);
      const answer = caller.call(importRaw(`image${count}`, reader)).catch(() => undefined);
      await caller.close();
      await answer;
    }
    for (const fd of [reader, writer]) closeSync(fd);
    await until(runsNothing);
    await until(() => service.openFiles() <= before);
  });

  test('that closes the pipe it reads from ends that export, and no other', async () => {
    const file = path.join(service.bus.directory, 'disk');
    writeFileSync(file, 'x');
    truncateSync(file, 32 << 20);
    const input = openSync(file, 'r');
    const [imported] = await service.client.call(importRaw('image', input));
    closeSync(input);
    expect(await service.removed(imported)).toBe('done');
    const {reader, writer: both} = pipe('output');
    const writer = openSync(path.join(service.bus.directory, 'output'), 'w');
    closeSync(both);
    const other = openSync(path.join(service.bus.directory, 'whole'), 'w');
    const [broken] = await service.call('ExportRaw', 'shs', ['image', 0, 'gzip'], [other]);
    const [first] = await service.call('ExportRaw', 'shs', ['image', 0, ''], [writer]);
    closeSync(writer);
    readSync(reader, Buffer.alloc(10));
    closeSync(reader);
    expect(await service.removed(first)).toBe('failed');
    expect(await service.removed(broken)).toBe('done');
    closeSync(other);
    await until(() => service.openFiles() <= before);
  });

  test('that never reads its answers does not keep others from theirs', async () => {
    const socket = connect(service.bus.address.slice('unix:path='.length));
    const uid = Buffer.from(String(process.getuid?.())).toString('hex');
    socket.write(`\0AUTH EXTERNAL ${uid}\r\n`);
    await once(socket, 'data');
    socket.write('BEGIN\r\n');
    const driver = {
      destination: 'org.freedesktop.DBus',
      path: '/org/freedesktop/DBus',
      interface: 'org.freedesktop.DBus',
    };
    socket.write(marshall({type: 1, serial: 1, ...driver, member: 'Hello'}));
    await once(socket, 'data');
    socket.pause();
    const introspect = {...target, interface: 'org.freedesktop.DBus.Introspectable', member: 'Introspect'};
    for (let serial = 2; serial < 2000; serial += 1) socket.write(marshall({type: 1, serial, ...introspect}));
    const fd = openSync('/dev/null', 'r');
    for (let count = 0; count < 20; count += 1) {
      expect(await runsNothing()).toBe(true);
      await service.call('ImportRaw', 'hsbb', [0, 'image', false, false], [fd]).catch(() => undefined);
    }
    closeSync(fd);
    socket.destroy();
    await until(() => service.openFiles() <= before);
  });

  test('of Varlink that goes away takes its pull with it', async () => {
    const server = createServer((_request, response) => {
      response.writeHead(200, {'content-length': 1000}).write('x');
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const remote = `http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.raw`;
    const parameters = {remote, type: 'raw', class: 'machine', local: 'disk', verify: 'no'};
    const socket = varlink();
    socket.write(`${JSON.stringify({method: 'io.systemd.Import.Pull', parameters, more: true})}\0`);
    const [chunk] = await once(socket, 'data');
    expect(String(chunk)).toContain('{"parameters":{"id":1},"continues":true}');
    socket.destroy();
    expect(await service.removed(1)).toBe('canceled');
    expect(stored()).toEqual([]);
    server.closeAllConnections();
    server.close();
  });

  test('of Varlink that never reads its answers is cut off', async () => {
    const socket = varlink();
    await once(socket, 'connect');
    socket.pause();
    const parameters = {interface: 'io.systemd.Import'};
    const call = `${JSON.stringify({method: 'org.varlink.service.GetInterfaceDescription', parameters})}\0`;
    await until(() => service.openFiles() > before);
    for (let count = 0; count < 100; count += 1) socket.write(call.repeat(100));
    await until(() => service.openFiles() <= before);
    expect(await runsNothing()).toBe(true);
    socket.destroy();
  });

  test('of Varlink gets no more connections than one user may have', async () => {
    const sockets = Array.from({length: 256}, varlink);
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    const ping = `${JSON.stringify({method: 'io.systemd.service.Ping', parameters: {}})}\0`;
    const last = sockets.at(-1) ?? expect.fail();
    last.write(ping);
    expect(await firstAnswer(last)).toBe('{}\0');
    expect(await firstAnswer(varlink())).toBeUndefined();
    sockets[0]?.destroy();
    await until(async () => {
      const socket = varlink();
      socket.write(ping);
      const answer = await firstAnswer(socket);
      socket.destroy();
      return answer !== undefined;
    });
    for (const socket of sockets) socket.destroy();
    await until(() => service.openFiles() <= before);
  });
});
