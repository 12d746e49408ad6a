/** The bus engine beside services that the oracle does not have: old ones, ones that lie, ones that vanish. */
import {createHash} from 'node:crypto';
import {chmodSync, closeSync, mkdirSync, openSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {gzipSync, zstdCompressSync} from 'node:zlib';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {BusConnection} from '../../../src/dbus/bus-connection.ts';
import {BusError} from '../../../src/dbus/bus-error.ts';
import type {Answer, IncomingCall} from '../../../src/dbus/bus-messages.ts';
import {BusEngine} from '../../../src/dbus/client/bus-engine.ts';
import type {ImageStore, ImportRequest} from '../../../src/engine/engine.ts';
import {hasBusDaemon, type PrivateBus, startBus} from '../../support/bus.ts';

const import1 = 'org.freedesktop.import1';
const manager = {path: '/org/freedesktop/import1', interface: `${import1}.Manager`};
const transferPath = '/org/freedesktop/import1/transfer/_1';
const oldMethods = ['ImportTar', 'ImportRaw', 'ExportTar', 'PullRaw', 'ListTransfers', 'CancelTransfer'];
const store: ImageStore = {imageClass: 'machine', directory: '/var/lib/machines'};

describe.runIf(hasBusDaemon)('the bus engine', () => {
  let bus: PrivateBus;
  let service: BusConnection;
  let engine: BusEngine;
  /** What was called, with what was read from a descriptor that came. */
  let calls: string[];
  let methods: string[];
  let answers: Record<string, (call: IncomingCall) => Answer | Promise<Answer>>;

  beforeEach(async () => {
    bus = await startBus();
    service = await BusConnection.open(bus.address);
    calls = [];
    methods = oldMethods;
    answers = {};
    service.handleCalls(answer);
    await service.requestName(import1);
    await service.requestName('org.freedesktop.machine1');
    engine = new BusEngine({
      connect: () => BusConnection.open(bus.address),
      classDirectory: (imageClass) => (imageClass === 'machine' ? store.directory : `/var/lib/${imageClass}`),
      scratchDirectory: path.join(bus.directory, 'scratch'),
      interactive: false,
    });
  });
  afterEach(async () => {
    await engine.close();
    await service.close();
    await bus.stop();
  });

  async function answer(call: IncomingCall): Promise<Answer> {
    if (call.member === 'Introspect') {
      const list = methods.map((name) => `<method name="${name}"></method>`).join('');
      return {
        signature: 's',
        body: [`<node><interface name="${manager.interface}">${list}</interface></node>`],
      };
    }
    if (call.member === 'Get') throw new BusError('org.freedesktop.DBus.Error.UnknownProperty', 'Unknown');
    const fd = call.signature.startsWith('h') ? call.takeFd(0) : undefined;
    const bytes = fd === undefined ? '' : ` <${readFileSync(fd, 'utf8')}>`;
    if (fd !== undefined) closeSync(fd);
    calls.push(`${call.member} ${call.body.join(' ')}${bytes}`);
    const found = answers[call.member];
    if (found) return found(call);
    if (call.interface === 'org.freedesktop.machine1.Manager') return {signature: 'a(ssbttto)', body: [[]]};
    return {signature: 'uo', body: [1, transferPath]};
  }

  function end(result: string, line?: string): void {
    const transfer = {path: transferPath, interface: `${import1}.Transfer`};
    if (line !== undefined) {
      service.emitSignal({...transfer, member: 'LogMessage', signature: 'us', body: [27, line]});
    }
    const body = [1, transferPath, result];
    service.emitSignal({...manager, member: 'TransferRemoved', signature: 'uos', body});
  }

  function file(contents: string | Buffer): string {
    const where = path.join(bus.directory, `file-${Math.random()}`);
    writeFileSync(where, contents);
    return where;
  }

  function request(sourcePath: string, more: Partial<ImportRequest> = {}): ImportRequest {
    return {format: 'auto', store, localName: 'one', sourcePath, ...more};
  }

  test('a service before 256 is called by its old methods', async () => {
    const transfer = await engine.import(request(file('a disk'), {readOnly: true}));
    end('done');
    expect(await transfer.finished).toEqual({
      path: '/var/lib/machines/one.raw',
      format: 'raw',
      notices: [],
    });
    expect(calls).toEqual(['ListImages ', 'ImportRaw 0 one false true <a disk>']);
  });

  test.each([
    [
      'another class',
      {store: {imageClass: 'sysext', directory: '/var/lib/sysext'}},
      'images of class sysext',
    ],
    ['another directory', {store: {...store, directory: '/srv/images'}}, 'not in "/srv/images"'],
  ] as const)('%s is refused before anything is asked of an old service', async (_what, more, text) => {
    await expect(engine.import(request(file('a disk'), more))).rejects.toMatchObject({
      code: 'NotSupported',
      message: expect.stringContaining(text),
    });
    expect(calls.filter((call) => call.startsWith('Import'))).toEqual([]);
  });

  test('an old service is not given what it would store wrongly', async () => {
    await expect(engine.import(request(file(zstdCompressSync('a disk'))))).rejects.toMatchObject({
      code: 'NotSupported',
      message: expect.stringContaining('compressed with zstd'),
    });
    const pull = {format: 'raw', store, url: 'http://h/x.raw', localName: 'x', verify: 'no'} as const;
    await expect(engine.pull({...pull, keepDownload: true})).rejects.toMatchObject({code: 'NotSupported'});
    await expect(engine.pull({...pull, verify: {sha256: '0'}})).rejects.toMatchObject({code: 'NotSupported'});
    expect(calls).toEqual([]);
  });

  test('signals of others are not believed', async () => {
    const liar = await BusConnection.open(bus.address);
    const transfer = await engine.import(request(file('a disk')));
    const body = [1, transferPath, 'done'];
    liar.emitSignal({...manager, member: 'TransferRemoved', signature: 'uos', body});
    await liar.close();
    end('failed', 'Failed to write: No space left on device');
    await expect(transfer.finished).rejects.toMatchObject({code: 'NoSpace', retryable: true});
  });

  test('a transfer that ends before its call is answered has ended', async () => {
    answers.ImportRaw = () => {
      end('failed', "Image 'one' already exists.");
      return {signature: 'uo', body: [1, transferPath]};
    };
    const transfer = await engine.import(request(file('a disk')));
    await expect(transfer.finished).rejects.toMatchObject({code: 'ImageAlreadyExists'});
    const lines: string[] = [];
    transfer.onLog((level, line) => lines.push(`${level} ${line}`));
    expect(lines).toEqual(["3 Image 'one' already exists."]);
  });

  test('a service that goes away leaves the outcome open, and a new one is asked afresh', async () => {
    const transfer = await engine.import(request(file('a disk')));
    await service.releaseName(import1);
    await expect(transfer.finished).rejects.toMatchObject({
      code: 'BusUnavailable',
      retryable: true,
      details: {outcome: 'unknown'},
    });
    await expect(engine.listTransfers()).rejects.toMatchObject({code: 'BusUnavailable'});
    await service.requestName(import1);
    methods = [...oldMethods, 'ImportTarEx'];
    answers.ListTransfersEx = () => {
      const row = [7, 'pull-raw', 'http://h', '', 'sysext', -Number.MAX_VALUE, transferPath];
      return {signature: 'a(ussssdo)', body: [[row]]};
    };
    expect(await engine.listTransfers()).toEqual([
      {id: 7, type: 'pull-raw', imageClass: 'sysext', localName: '', remote: 'http://h', fraction: undefined},
    ]);
  });

  test('the bus itself going away is told, and nothing waits', async () => {
    const transfer = await engine.import(request(file('a disk')));
    await bus.stop();
    await expect(transfer.finished).rejects.toMatchObject({code: 'BusUnavailable'});
    await expect(engine.listImages(store)).rejects.toMatchObject({code: 'BusUnavailable'});
  });

  test('an abort during the call cancels the transfer that comes of it', async () => {
    const controller = new AbortController();
    answers.ImportRaw = () => {
      controller.abort();
      return {signature: 'uo', body: [1, transferPath]};
    };
    answers.Cancel = () => {
      end('canceled');
      return {signature: '', body: []};
    };
    const transfer = await engine.import(request(file('a disk'), {signal: controller.signal}));
    await expect(transfer.finished).rejects.toMatchObject({code: 'Interrupted'});
    expect(calls).toContain('Cancel ');
  });

  test('a cancellation that is refused is not hidden', async () => {
    answers.Cancel = () => {
      throw new BusError('org.freedesktop.DBus.Error.AccessDenied', 'Access denied');
    };
    const transfer = await engine.import(request(file('a disk')));
    transfer.cancel();
    await expect(transfer.finished).rejects.toMatchObject({
      code: 'NotAuthorized',
      details: {outcome: 'unknown'},
    });
  });

  test('what is sent is what was verified', async () => {
    const facts = {sizeBytes: 6, sha1: '4b3d9cf0cb2b6a0e0f1d6bc8fd8c2bfd5a2b2b2b'};
    await expect(engine.import(request(file('a disk'), {facts}))).rejects.toMatchObject({
      code: 'ChecksumError',
      message: expect.stringContaining('is not what was verified: expected 6 bytes'),
    });
    expect(calls).toEqual([]);
  });

  test('a file that others may write is copied before it is compared and sent', async () => {
    const bytes = gzipSync('a disk in a place for everyone');
    const shared = path.join(bus.directory, 'shared');
    mkdirSync(shared);
    chmodSync(shared, 0o777);
    const source = path.join(shared, 'disk');
    writeFileSync(source, bytes);
    const facts = {sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex')};
    let sent = Buffer.alloc(0);
    answers.ImportRaw = () => {
      // Too late: what the service has is not this file any more.
      const fd = openSync(source, 'w');
      closeSync(fd);
      sent = Buffer.from(calls.at(-1) ?? '');
      return {signature: 'uo', body: [1, transferPath]};
    };
    const transfer = await engine.import(request(source, {facts}));
    end('done');
    await transfer.finished;
    expect(sent.toString()).toContain(`<${bytes.toString()}>`);
  });
});
