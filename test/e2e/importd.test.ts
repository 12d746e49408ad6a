/** The bus service under load, signals and mishaps. */
import {execFile, execFileSync} from 'node:child_process';
import {closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync} from 'node:fs';
import path from 'node:path';
import {promisify} from 'node:util';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {hasBusDaemon} from '../support/bus.ts';
import {Importd} from '../support/importd.ts';

const isRoot = process.geteuid?.() === 0;

describe.runIf(isRoot && hasBusDaemon)('imgctl-importd', () => {
  let service: Importd;
  let file: string;

  beforeEach(async () => {
    service = await Importd.start();
    file = path.join(service.bus.directory, 'disk.raw');
    writeFileSync(file, Buffer.alloc(100_000, 'x'));
  });
  afterEach(() => service.stop());

  function stored(): string[] {
    const directory = path.join(service.root, 'var/lib/machines');
    return existsSync(directory) ? readdirSync(directory).sort() : [];
  }

  /** A pipe by name: both ends open, nothing blocks. */
  function pipe(name: string): {reader: number; writer: number} {
    const fifo = path.join(service.bus.directory, name);
    execFileSync('mkfifo', [fifo]);
    const writer = openSync(fifo, 'r+');
    return {reader: openSync(fifo, 'r'), writer};
  }

  async function importFd(fd: number, name: string): Promise<unknown> {
    const [id] = await service.call('ImportRaw', 'hsbb', [0, name, false, false], [fd]);
    return id;
  }

  test('stores an image, and tells of it in order', async () => {
    const fd = openSync(file, 'r');
    const id = await importFd(fd, 'image');
    closeSync(fd);
    expect(await service.removed(id)).toBe('done');
    const told = service.signals.filter(({member}) => member !== 'ProgressUpdate' && member !== 'LogMessage');
    expect(told.map(({member, body}) => [member, ...body])).toEqual([
      ['TransferNew', 1, '/org/freedesktop/import1/transfer/_1'],
      ['TransferRemoved', 1, '/org/freedesktop/import1/transfer/_1', 'done'],
    ]);
    const lines = service.signals.filter(({member}) => member === 'LogMessage').map(({body}) => body);
    // How often there is something to tell of progress depends on the time it takes.
    expect(lines.filter(([, line]) => !/^Imported \d+%\.$/.test(String(line)))).toEqual([
      [30, `Importing '${file}', saving as 'image'.`],
      [30, `Operating on image directory '${service.root}/var/lib/machines'.`],
      [30, 'Wrote 97.6K.'],
      [30, 'Operation completed successfully.'],
      [30, 'Exiting.'],
    ]);
    expect(stored()).toEqual(['image.raw']);
  });

  test('exports append to a descriptor that appends', async () => {
    const fd = openSync(file, 'r');
    await service.removed(await importFd(fd, 'image'));
    closeSync(fd);
    const target = path.join(service.bus.directory, 'log');
    writeFileSync(target, 'before');
    const output = openSync(target, 'a');
    const [id] = await service.call('ExportRaw', 'shs', ['image', 0, ''], [output]);
    closeSync(output);
    expect(await service.removed(id)).toBe('done');
    expect(readFileSync(target, 'utf8')).toBe(`before${'x'.repeat(100_000)}`);
  });

  test('the crash of one transfer does not touch another', async () => {
    const [first, second] = [pipe('one'), pipe('two')];
    const doomed = await importFd(first.reader, 'one');
    const [worker] = service.workers();
    const other = await importFd(second.reader, 'two');
    process.kill(worker ?? expect.fail(), 'SIGKILL');
    expect(await service.removed(doomed)).toBe('failed');
    writeSync(second.writer, 'data');
    for (const {reader, writer} of [first, second]) {
      closeSync(reader);
      closeSync(writer);
    }
    expect(await service.removed(other)).toBe('done');
    expect(stored()).toEqual(['two.raw']);
    expect(service.stderr).toContain('Transfer process terminated by signal SIGKILL.');
  });

  test('takes 64 transfers at once and refuses the next; all can be cancelled', async () => {
    const {reader, writer} = pipe('all');
    const ids = await Promise.all(Array.from({length: 64}, (_, index) => importFd(reader, `image${index}`)));
    await expect(importFd(reader, 'one-more')).rejects.toMatchObject({errorName: 'System.Error.E2BIG'});
    const [rows] = await service.call('ListTransfers');
    expect((rows as unknown[]).length).toBe(64);
    await Promise.all(ids.map((id) => service.call('CancelTransfer', 'u', [id])));
    expect(new Set(await Promise.all(ids.map((id) => service.removed(id))))).toEqual(new Set(['canceled']));
    closeSync(reader);
    closeSync(writer);
    expect(stored()).toEqual([]);
  }, 120_000);

  test('ten thousand calls with descriptors leave none open', async () => {
    const fd = openSync(file, 'r');
    const refused = (name: string, imageClass: string) =>
      service.call('ImportRawEx', 'hsst', [0, name, imageClass, 0n], [fd]).catch(() => undefined);
    await refused('a/b', 'machine');
    const before = service.openFiles();
    for (let count = 0; count < 100; count += 1) {
      await Promise.all(
        Array.from({length: 100}, (_, index) =>
          refused(index % 2 ? 'a/b' : 'ok', index % 2 ? 'machine' : 'x'),
        ),
      );
    }
    closeSync(fd);
    expect(service.openFiles()).toBe(before);
  }, 60_000);

  test('SIGHUP changes nothing; SIGTERM ends it with what it does, and leaves nothing behind', async () => {
    const {reader, writer} = pipe('slow');
    const id = await importFd(reader, 'slow');
    service.process.kill('SIGHUP');
    expect(await service.call('ListTransfers')).toEqual([
      [[id, 'import-raw', '', 'slow', -Number.MAX_VALUE, '/org/freedesktop/import1/transfer/_1']],
    ]);
    service.process.kill('SIGTERM');
    expect(await service.ended).toBe(0);
    expect(await service.removed(id)).toBe('canceled');
    closeSync(reader);
    closeSync(writer);
    expect(stored()).toEqual([]);
    await expect(service.call('ListTransfers')).rejects.toMatchObject({
      errorName: 'org.freedesktop.DBus.Error.ServiceUnknown',
    });
  });

  test.runIf(existsSync('/usr/bin/gdbus'))(
    'gdbus calls it and understands what it says of itself',
    async () => {
      const {reader, writer} = pipe('slow');
      const id = await importFd(reader, 'slow');
      const ask = async (verb: string, object: string, ...args: string[]) => {
        const whom = ['--system', '--dest', 'org.freedesktop.import1', '--object-path', object];
        const env = {...process.env, DBUS_SYSTEM_BUS_ADDRESS: service.bus.address};
        return (await promisify(execFile)('gdbus', [verb, ...whom, ...args], {env})).stdout;
      };
      const manager = '/org/freedesktop/import1';
      const list = await ask(
        'call',
        manager,
        '--method',
        'org.freedesktop.import1.Manager.ListTransfersEx',
        'machine',
        '0',
      );
      expect(list).toMatch(
        /^\(\[\(uint32 1, 'import-raw', '', 'slow', 'machine', -1\.79\d+e\+308, objectpath '.*\/_1'\)\],\)\n$/,
      );
      const text = await ask('introspect', `${manager}/transfer/_${id}`);
      expect(text).toContain("readonly s Type = 'import-raw';");
      expect(text).toContain('Cancel();');
      await ask('call', `${manager}/transfer/_${id}`, '--method', 'org.freedesktop.import1.Transfer.Cancel');
      expect(await service.removed(id)).toBe('canceled');
      for (const fd of [reader, writer]) closeSync(fd);
    },
  );

  test('a second service does not take the name', async () => {
    const program = path.join(import.meta.dirname, '../../bin/imgctl-importd');
    const env = {...process.env, DBUS_SYSTEM_BUS_ADDRESS: service.bus.address, IMGCTL_ROOT: service.root};
    const second = new Promise((resolve) =>
      execFile(program, {env}, (error, _stdout, stderr) => resolve({status: error?.code ?? 0, stderr})),
    );
    expect(await second).toEqual({status: 1, stderr: 'The name org.freedesktop.import1 is taken\n'});
  });
});
