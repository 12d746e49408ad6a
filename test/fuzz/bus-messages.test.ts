/**
 * Whatever comes over the bus or the Varlink socket, the service stays, answers others, and keeps neither descriptors nor
 * memory. The bus refuses what is malformed, so that comes from a bus of ours that says anything.
 */
import {closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {connect, createServer, type Server} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import {afterAll, afterEach, beforeAll, describe, expect, test} from 'vitest';
import {BusConnection} from '../../src/dbus/bus-connection.ts';
import {managerInterface} from '../../src/dbus/service/interfaces.ts';
import {hasBusDaemon} from '../support/bus.ts';
import {Importd} from '../support/importd.ts';

/** The library's own, which has no types. */
const {marshall}: {marshall(message: object): Buffer} = createRequire(import.meta.url)(
  'dbus-native/lib/message.js',
);

const seed = 20_260_801;
const isRoot = process.geteuid?.() === 0;

/** A type of the protocol and a value of it, as the connection takes them. */
const basic = fc.oneof(
  fc.record({type: fc.constant('y'), value: fc.nat(255)}),
  fc.record({type: fc.constant('b'), value: fc.boolean()}),
  fc.record({type: fc.constantFrom('u', 'h'), value: fc.oneof(fc.nat(4), fc.nat(0xffff_ffff))}),
  fc.record({type: fc.constant('i'), value: fc.integer()}),
  fc.record({type: fc.constant('t'), value: fc.bigInt(0n, 2n ** 64n - 1n)}),
  fc.record({type: fc.constant('d'), value: fc.double({noNaN: true})}),
  fc.record({type: fc.constant('s'), value: fc.string({maxLength: 300, unit: 'grapheme'})}),
  fc.record({
    type: fc.constant('s'),
    value: fc.constantFrom('', 'machine', 'raw', 'no', '../x', 'http://127.0.0.1:1/x'),
  }),
  fc.record({type: fc.constant('o'), value: fc.constantFrom('/', '/org', '/a/b_c')}),
  fc.record({type: fc.constant('g'), value: fc.constantFrom('', 's', 'a{sv}', '(((u)))')}),
);
const anything = fc.oneof(
  {weight: 4, arbitrary: basic},
  {
    weight: 1,
    arbitrary: basic.map(({type, value}) => ({
      type: `a${type}`,
      value: type === 'y' ? Buffer.alloc(3) : [value, value],
    })),
  },
  {weight: 1, arbitrary: basic.map(({type, value}) => ({type: `(${type})`, value: [value]}))},
  {weight: 1, arbitrary: basic.map(({type, value}) => ({type: 'v', value: [type, value]}))},
  {weight: 1, arbitrary: basic.map(({type, value}) => ({type: 'a{sv}', value: [['k', [type, value]]]}))},
);

const manager = managerInterface.name;
const members = managerInterface.methods;
const call = fc.record({
  path: fc.oneof(
    {weight: 4, arbitrary: fc.constant('/org/freedesktop/import1')},
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        '/',
        '/org/freedesktop/import1/transfer',
        '/org/freedesktop/import1/transfer/_1',
        '/org/freedesktop/import1/transfer/_99999999999999999999',
        '/org/freedesktop/LogControl1',
      ),
    },
  ),
  interface: fc.oneof(
    {weight: 4, arbitrary: fc.constant(manager)},
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        'org.freedesktop.import1.Transfer',
        'org.freedesktop.DBus.Properties',
        'org.freedesktop.DBus.Introspectable',
        'org.freedesktop.DBus.Peer',
        'org.freedesktop.LogControl1',
      ),
    },
  ),
  method: fc.constantFrom(...members),
  other: fc.oneof(
    {weight: 5, arbitrary: fc.constant(undefined)},
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        'Get',
        'GetAll',
        'Set',
        'Introspect',
        'Ping',
        'Cancel',
        'constructor',
        '__proto__',
      ),
    },
  ),
  /** Undefined: values of the types that the method has. */
  values: fc.oneof(fc.constant(undefined), fc.array(anything, {maxLength: 5})),
  texts: fc.array(fc.oneof(fc.string({maxLength: 40}), fc.constantFrom('machine', 'sysext', 'name', '')), {
    minLength: 5,
    maxLength: 5,
  }),
  number: fc.oneof(fc.nat(3), fc.nat(0xffff_ffff)),
  descriptors: fc.nat(3),
});

type Call = typeof call extends fc.Arbitrary<infer Value> ? Value : never;

/** Arguments of the method's own types, with any content. */
function fitting({method, texts, number}: Call): {type: string; value: unknown}[] {
  return method.in.map(({type}, index) => {
    if (type === 's') return {type, value: texts[index]};
    if (type === 'b') return {type, value: number % 2 === 1};
    return {type, value: type === 't' ? BigInt(number) : number};
  });
}

describe.runIf(isRoot && hasBusDaemon)('the service', () => {
  let service: Importd;
  let attacker: BusConnection;
  let fd: number;

  beforeAll(async () => {
    service = await Importd.start();
    attacker = await BusConnection.open(service.bus.address);
    const file = path.join(service.bus.directory, 'file');
    writeFileSync(file, 'x');
    fd = openSync(file, 'r');
  });
  afterAll(async () => {
    closeSync(fd);
    await attacker.close();
    await service.stop();
  });

  const isUp = () => service.call('ListTransfers').then(([rows]) => Array.isArray(rows));

  /** What the process has held at most, in MiB. */
  function peakMemory(): number {
    const status = readFileSync(`/proc/${service.process.pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
  }

  async function settled(): Promise<void> {
    for (;;) {
      const [rows] = (await service.call('ListTransfers')) as [unknown[][]];
      if (rows.length === 0) return;
      for (const [id] of rows) await service.call('CancelTransfer', 'u', [id]).catch(() => undefined);
    }
  }

  function send(one: Call): Promise<unknown> {
    const values = one.values ?? fitting(one);
    return attacker
      .call({
        ...{
          destination: 'org.freedesktop.import1',
          path: one.path,
          interface: one.interface,
          timeoutMs: 60_000,
        },
        ...{member: one.other ?? one.method.name, fds: Array.from({length: one.descriptors}, () => fd)},
        ...(values.length > 0 && {
          signature: values.map(({type}) => type).join(''),
          body: values.map(({value}) => value),
        }),
      })
      .catch((error) => {
        // What the library does not send tells nothing about the service.
        if (error.code === 'BusUnavailable') throw error;
      });
  }

  test('answers any call that the bus lets through, and others beside it', async () => {
    await isUp();
    const before = service.openFiles();
    const calls = fc.sample(call, {seed, numRuns: 1200});
    for (let start = 0; start < calls.length; start += 40) {
      await Promise.all(calls.slice(start, start + 40).map(send));
      expect(await isUp()).toBe(true);
    }
    await settled();
    expect(service.openFiles()).toBeLessThanOrEqual(before);
    expect(peakMemory()).toBeLessThan(256);
  });

  test('refuses calls that are too long and goes on', async () => {
    const path = `/${'x'.repeat(17 << 20)}`;
    const target = {
      destination: 'org.freedesktop.import1',
      path: '/org/freedesktop/import1',
      interface: manager,
    };
    const before = service.openFiles();
    const long = [
      {...target, signature: 's', body: ['x'.repeat(17 << 20)], fds: [fd, fd]},
      {...target, signature: 'av', body: [Array.from({length: 200_000}, () => ['y', 1])]},
      {...target, path, fds: [fd]},
    ];
    for (const one of long) {
      await expect(attacker.call({...one, member: 'ListTransfers'})).rejects.toMatchObject({
        errorName: 'org.freedesktop.DBus.Error.LimitsExceeded',
      });
      expect(await isUp()).toBe(true);
    }
    expect(service.openFiles()).toBe(before);
    expect(peakMemory()).toBeLessThan(256);
  });

  test('goes on whatever comes over Varlink', async () => {
    const socket = path.join(service.root, 'run/systemd/io.systemd.Import');
    const valid = {
      method: 'io.systemd.Import.Pull',
      parameters: {remote: 'x', type: 'raw', class: 'machine'},
      more: true,
    };
    const input = fc.oneof(
      fc.uint8Array({maxLength: 200}).map((bytes) => Buffer.from(bytes)),
      fc.json({maxDepth: 4}).map((text) => Buffer.from(`${text}\0`)),
      fc
        .tuple(
          fc.constantFrom(...Object.keys(valid.parameters), 'local', 'force', 'imageRoot'),
          fc.jsonValue({maxDepth: 2}),
        )
        .map(([name, value]) =>
          Buffer.from(`${JSON.stringify({...valid, parameters: {...valid.parameters, [name]: value}})}\0`),
        ),
      fc.constant(Buffer.from(`${'['.repeat(100_000)}\0`)),
      fc.constant(Buffer.from('{"method":"io.systemd.service.Ping"}\0'.repeat(500))),
    );
    const before = service.openFiles();
    for (const bytes of fc.sample(input, {seed, numRuns: 200})) {
      await new Promise<void>((resolve) => {
        const client = connect(socket, () => client.end(bytes));
        client.resume();
        client.on('error', () => undefined);
        client.on('close', () => resolve());
      });
    }
    expect(await isUp()).toBe(true);
    await settled();
    expect(service.openFiles()).toBeLessThanOrEqual(before);
  });
});

describe('a connection', () => {
  let directory: string;
  let server: Server | undefined;
  beforeAll(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'imgctl-bad-bus-'));
  });
  afterAll(() => rmSync(directory, {recursive: true}));
  afterEach(async () => {
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  });

  /** A bus that says hello, then bytes, and ends. */
  async function badBus(bytes: Buffer): Promise<string> {
    const file = path.join(directory, 'bus');
    rmSync(file, {force: true});
    server = createServer((socket) => {
      let said = '';
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        said += chunk.toString('latin1');
        if (said.includes('BEGIN\r\n')) {
          socket.removeAllListeners('data');
          const hello = {type: 2, serial: 1, replySerial: 1, signature: 's', body: [':1.1']};
          socket.end(Buffer.concat([marshall(hello), bytes]));
        } else if (said.endsWith('NEGOTIATE_UNIX_FD\r\n')) socket.write('AGREE_UNIX_FD\r\n');
        else if (/AUTH EXTERNAL.*\r\n$/.test(said)) socket.write('OK 0123456789abcdef0123456789abcdef\r\n');
      });
    });
    await new Promise<void>((resolve) => server?.listen(file, () => resolve()));
    return `unix:path=${file}`;
  }

  /** A signal: its body is its sender's, and not every bus looks at it. */
  const sample: Buffer = marshall({
    ...{type: 4, serial: 7, path: '/a', interface: 'a.b', member: 'C', sender: ':1.2'},
    ...{signature: 'suv', body: ['text', 5, ['s', 'v']]},
  });
  const changes = fc.array(fc.tuple(fc.nat(sample.length - 1), fc.nat(255)), {minLength: 1, maxLength: 4});

  test('ends, and throws nothing, whatever a bus says', async () => {
    const inputs = [
      ...fc.sample(changes, {seed, numRuns: 120}).map((list) => {
        const bytes = Buffer.from(sample);
        for (const [at, value] of list) bytes[at] = value;
        return Buffer.concat([sample, bytes, sample]);
      }),
      ...fc
        .sample(fc.uint8Array({minLength: 1, maxLength: 64}), {seed, numRuns: 30})
        .map((bytes) => Buffer.from(bytes)),
    ];
    const before = readdirSync('/proc/self/fd').length;
    for (const bytes of inputs) {
      const bus = await badBus(bytes);
      const connection = await BusConnection.open(bus);
      let heard = 0;
      await connection
        .subscribe("type='signal'", () => {
          heard += 1;
        })
        .catch(() => undefined);
      expect(await connection.closed).toMatchObject({code: 'BusUnavailable'});
      expect(heard).toBeLessThanOrEqual(3);
      await new Promise((resolve) => server?.close(resolve));
    }
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before);
  });
});
