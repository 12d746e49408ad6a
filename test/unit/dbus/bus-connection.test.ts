import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {closeSync, fstatSync, openSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {promisify} from 'node:util';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {BusConnection} from '../../../src/dbus/bus-connection.ts';
import {BusError} from '../../../src/dbus/bus-error.ts';
import type {BusSignal, IncomingCall} from '../../../src/dbus/bus-messages.ts';
import {hasBusDaemon, type PrivateBus, pythonWithDbus, startBus} from '../../support/bus.ts';

const name = 'org.example.Test';
const target = {destination: name, path: '/org/example', interface: name};

describe.runIf(hasBusDaemon)('a bus connection', () => {
  let bus: PrivateBus;
  let service: BusConnection;
  let client: BusConnection;

  beforeEach(async () => {
    bus = await startBus();
    service = await BusConnection.open(bus.address);
    client = await BusConnection.open(bus.address);
    await service.requestName(name);
  });
  afterEach(async () => {
    await client.close();
    await service.close();
    await bus.stop();
  });

  function file(contents: string): string {
    const where = path.join(bus.directory, `file-${Math.random()}`);
    writeFileSync(where, contents);
    return where;
  }

  /** Answers with what can be read from the descriptor of the call. */
  async function readAnswer(call: IncomingCall): Promise<{signature: string; body: unknown[]}> {
    const fd = call.takeFd(call.body[0] as number);
    try {
      return {signature: 's', body: [readFileSync(fd, 'utf8')]};
    } finally {
      closeSync(fd);
    }
  }

  test('calls carry values both ways, and errors with their names', async () => {
    service.handleCalls(async (call) => {
      if (call.member === 'Fail') throw new BusError('org.example.Error.Bad', 'Bad thing');
      if (call.member === 'Break') throw new Error('broken');
      return {signature: 'sta(sd)', body: [`${call.member} ${call.body}`, 2n ** 63n, [['x', 0.5]]]};
    });
    expect(client.uniqueName).toMatch(/^:\d+\.\d+$/);
    expect(await client.call({...target, member: 'Echo', signature: 'ub', body: [7, true]})).toEqual([
      'Echo 7,true',
      2n ** 63n,
      [['x', 0.5]],
    ]);
    await expect(client.call({...target, member: 'Fail'})).rejects.toMatchObject({
      errorName: 'org.example.Error.Bad',
      message: 'Bad thing',
    });
    await expect(client.call({...target, member: 'Break'})).rejects.toMatchObject({
      errorName: 'org.freedesktop.DBus.Error.Failed',
      message: 'broken',
    });
  });

  test('without a handler, or with values that do not fit, a call is answered with an error', async () => {
    await expect(client.call({...target, member: 'Any'})).rejects.toMatchObject({
      errorName: 'org.freedesktop.DBus.Error.UnknownMethod',
    });
    service.handleCalls(async () => ({signature: 'u', body: ['text']}));
    await expect(client.call({...target, member: 'Any'})).rejects.toMatchObject({
      errorName: 'org.freedesktop.DBus.Error.Failed',
    });
    await expect(
      client.call({...target, member: 'Any', signature: 'u', body: ['text']}),
    ).rejects.toBeInstanceOf(Error);
  });

  test('a descriptor arrives as one of the service, and the client keeps its own', async () => {
    service.handleCalls(readAnswer);
    const fd = openSync(file('through the bus'), 'r');
    const call = {...target, member: 'Read', signature: 'h', body: [1], fds: [0, fd]};
    expect(await client.call(call)).toEqual(['through the bus']);
    fstatSync(fd);
    closeSync(fd);
  });

  test('descriptors that nobody takes are closed', async () => {
    const seen: number[] = [];
    service.handleCalls(async (call) => {
      const fd = call.takeFd(0);
      seen.push(fd);
      closeSync(fd);
      return undefined;
    });
    const fd = openSync(file('x'), 'r');
    const before = readdirSync('/proc/self/fd').length;
    for (let count = 0; count < 200; count += 1) {
      await client.call({...target, member: 'Take', signature: 'hhh', body: [0, 1, 2], fds: [fd, fd, fd]});
    }
    expect(new Set(seen).size).toBeLessThan(5);
    expect(readdirSync('/proc/self/fd').length).toBe(before);
    closeSync(fd);
  });

  test('a handler cannot take a descriptor that did not come, or take one twice', async () => {
    service.handleCalls(async (call) => {
      closeSync(call.takeFd(0));
      call.takeFd(call.member === 'Twice' ? 0 : 9);
      return undefined;
    });
    const fd = openSync(file('x'), 'r');
    for (const member of ['Twice', 'Missing']) {
      await expect(
        client.call({...target, member, signature: 'h', body: [0], fds: [fd]}),
      ).rejects.toMatchObject({errorName: 'org.freedesktop.DBus.Error.InvalidArgs'});
    }
    closeSync(fd);
  });

  test('messages larger than any socket buffer arrive whole and in order', async () => {
    service.handleCalls(async (call) => ({signature: 's', body: [String(call.body[0])]}));
    const texts = ['a', 'b', 'c'].map((letter) => letter.repeat(3 << 20));
    const replies = await Promise.all(
      texts.map((text) => client.call({...target, member: 'Echo', signature: 's', body: [text]})),
    );
    expect(replies.flat()).toEqual(texts);
  });

  test('signals sent before a reply are heard before it', async () => {
    const heard: string[] = [];
    service.handleCalls(async () => {
      for (const member of ['One', 'Two']) {
        service.emitSignal({path: '/org/example', interface: name, member, signature: 'u', body: [1]});
      }
      return undefined;
    });
    const end = await client.subscribe(`type='signal',interface='${name}'`, (signal: BusSignal) => {
      if (signal.interface === name) heard.push(`${signal.member} ${signal.body} ${signal.sender}`);
    });
    await client.call({...target, member: 'Go'});
    expect(heard).toEqual([`One 1 ${service.uniqueName}`, `Two 1 ${service.uniqueName}`]);
    await end();
    await client.call({...target, member: 'Go'});
    expect(heard).toHaveLength(2);
  });

  test('a call that is not answered ends in time, and its late answer is dropped', async () => {
    let answer = (): void => undefined;
    service.handleCalls(async (call) => {
      if (call.member === 'Wait') await new Promise<void>((resolve) => (answer = resolve));
      return undefined;
    });
    await expect(client.call({...target, member: 'Wait', timeoutMs: 20})).rejects.toMatchObject({
      errorName: 'org.freedesktop.DBus.Error.NoReply',
      message: `"${name}" did not answer Wait within 20 ms`,
    });
    answer();
    expect(await client.call({...target, member: 'Next'})).toEqual([]);
  });

  test('when the bus goes away every call fails, and so do later ones', async () => {
    let entered = (): void => undefined;
    const inHandler = new Promise<void>((resolve) => (entered = resolve));
    service.handleCalls(async () => {
      entered();
      return new Promise(() => undefined);
    });
    const waiting = client.call({...target, member: 'Wait', timeoutMs: 0});
    const failed = expect(waiting).rejects.toMatchObject({code: 'BusUnavailable', retryable: true});
    await inHandler;
    await bus.stop();
    await failed;
    expect(await client.closed).toMatchObject({code: 'BusUnavailable'});
    await expect(client.call({...target, member: 'Wait'})).rejects.toMatchObject({code: 'BusUnavailable'});
  });

  test('a second owner of a name is refused', async () => {
    expect(await client.requestName(name)).toBe(false);
    await service.releaseName(name);
    expect(await client.requestName(name)).toBe(true);
  });

  test('an address where nobody listens is named', async () => {
    const address = `unix:path=${bus.directory}/nobody`;
    await expect(BusConnection.open(address)).rejects.toMatchObject({
      code: 'BusUnavailable',
      message: `cannot connect to the bus "${address}": ENOENT: connect "${bus.directory}/nobody"`,
    });
    const second = await BusConnection.open(`${address};${bus.address}`);
    await second.close();
  });

  describe.runIf(pythonWithDbus)('with python3-dbus', () => {
    const python = pythonWithDbus ?? '';

    test('a caller in python has its file and pipe read by our service', async () => {
      service.handleCalls(readAnswer);
      const script = `import dbus, os, sys
bus = dbus.bus.BusConnection(sys.argv[1])
r, w = os.pipe()
os.write(w, b'of a pipe')
os.close(w)
for fd in (os.open(sys.argv[2], os.O_RDONLY), r):
    print(bus.call_blocking('${name}', '/o', '${name}', 'Read', 'h', [dbus.types.UnixFd(fd)]))
`;
      const list = ['-c', script, bus.address, file('of a file')];
      expect((await promisify(execFile)(python, list)).stdout).toBe('of a file\nof a pipe\n');
    });

    test('a service in python reads our descriptors and is heard', async () => {
      const script = `import dbus, dbus.service, os, sys
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib
bus = dbus.bus.BusConnection(sys.argv[1], mainloop=DBusGMainLoop())
class Object(dbus.service.Object):
    @dbus.service.method('org.example.Python', in_signature='h', out_signature='s')
    def Read(self, fd):
        self.Heard(dbus.UInt64(2**63))
        with os.fdopen(fd.take()) as file: return file.read()
    @dbus.service.signal('org.example.Python', signature='t')
    def Heard(self, number): pass
name = dbus.service.BusName('org.example.Python', bus)
Object(bus, '/o')
print('ready', flush=True)
GLib.MainLoop().run()
`;
      const child: ChildProcess = spawn(python, ['-c', script, bus.address], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      try {
        await new Promise((resolve) => child.stdout?.once('data', resolve));
        const heard: unknown[] = [];
        await client.subscribe("type='signal',member='Heard'", (signal) => {
          if (signal.member === 'Heard') heard.push(...signal.body);
        });
        const fd = openSync(file('read by python'), 'r');
        const call = {destination: 'org.example.Python', path: '/o', interface: 'org.example.Python'};
        const reply = await client.call({...call, member: 'Read', signature: 'h', body: [0], fds: [fd]});
        closeSync(fd);
        expect({reply, heard}).toEqual({reply: ['read by python'], heard: [2n ** 63n]});
      } finally {
        child.kill();
        await new Promise((resolve) => child.once('close', resolve));
      }
    });
  });
});
